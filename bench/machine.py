"""What it was measured on."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from pathlib import Path

from bench.cores import CORES


def machine() -> dict[str, str]:
    """For people to read."""
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), "")
    return {
        "cpu": model.partition(":")[2].strip(),
        "cores": str(len(CORES)),
        "python": interpreter(),
        "system": f"{platform.system()} {platform.release()}",
        "load average": f"{os.getloadavg()[0]:.1f}",
    }


def interpreter() -> str:
    """The Python, and how it was built: two builds of one version differ by a fifth in speed."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    optimized = [name for name, flag in (("PGO", "--enable-optimizations"), ("LTO", "--with-lto")) if flag in arguments]
    if "deb_system" in sysconfig.get_scheme_names():  # Debian builds it in its own way, which is not among them.
        optimized = ["PGO", "LTO"]
    how = " and ".join(optimized) or "neither PGO nor LTO"
    compiler = platform.python_compiler()
    return f"{sys.implementation.name} {platform.python_version()}, {platform.machine()}, {how}, {compiler}"
