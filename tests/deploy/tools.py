"""What the tests of the chart need besides Python: helm, built from its source, and the models of custom resources.

Both lie in `.cache/chart`, under names that tell their versions, and are brought once by `python -m tests.deploy`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT

HELM_VERSION = "3.22.0"
CACHE = ROOT / ".cache" / "chart"
HELM = CACHE / f"helm-{HELM_VERSION}"
MODELS = CACHE / "models"
VALIDATOR = Path(__file__).parent / "crds"
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
"""Of Debian. Node knows only its own, and not that of a company through whose proxy all goes."""
REQUIRED = "CHART_TOOLS_REQUIRED"
"""The variable with which a missing tool is a failure. Without it, tests that need one are skipped."""


class ToolError(Exception):
    """A tool cannot be brought; the message says what is missing."""


def install() -> None:
    """Bring what is missing. The program that validates lies beside the models, where Node looks for them.

    Raises:
        ToolError: it cannot be brought.
    """
    if not HELM.exists():
        _install_helm()
    lock = VALIDATOR / "package-lock.json"
    installed = MODELS / lock.name
    if not (installed.exists() and installed.read_bytes() == lock.read_bytes()):
        _install_models()
    shutil.copy(VALIDATOR / "validate.mjs", MODELS)


def needed(tool: Path) -> Path:
    """A tool's path; skips the test that asks where it is not here, or fails it, see `REQUIRED`."""
    if not tool.exists():
        told = f"{tool.relative_to(ROOT)} is not here: make chart-test brings it"
        if REQUIRED in os.environ:
            pytest.fail(told)
        pytest.skip(told)
    return tool


def _install_helm() -> None:
    """Build it, without the symbols that a debugger needs, and leave nothing but the program."""
    building = CACHE / "building"
    (building / "bin").mkdir(parents=True, exist_ok=True)
    places = {"GOBIN": building / "bin", "GOMODCACHE": building / "mod", "GOCACHE": building / "objects"}
    settings = {"GOFLAGS": "-modcacherw", "CGO_ENABLED": "0"}
    try:
        _run(
            ["go", "install", "-ldflags=-s -w", f"helm.sh/helm/v3/cmd/helm@v{HELM_VERSION}"],
            {**{name: str(place) for name, place in places.items()}, **settings},
            needs="Go 1.25 or newer",
        )
        (building / "bin" / "helm").replace(HELM)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _install_models() -> None:
    shutil.rmtree(MODELS, ignore_errors=True)
    MODELS.mkdir(parents=True)
    lock = "package-lock.json"
    for name in ("package.json", lock):
        shutil.copy(VALIDATOR / name, MODELS)
    trusted = {"NODE_EXTRA_CA_CERTS": str(SYSTEM_CERTIFICATES)} if SYSTEM_CERTIFICATES.exists() else {}
    command = ["npm", "ci", "--prefix", str(MODELS), "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        _run(command, {**trusted, **os.environ}, needs="npm")
    except ToolError:
        (MODELS / lock).unlink()  # so that it is tried again
        raise


def _run(command: list[str], settings: dict[str, str], *, needs: str) -> None:
    """Run a command to its end.

    Raises:
        ToolError: it fails, or is not here.
    """
    if shutil.which(command[0]) is None:
        raise ToolError(f"{command[0]} cannot be found: install {needs}")
    ended = subprocess.run(
        command,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise ToolError(f"{' '.join(command)} failed:\n{ended.stdout}")
