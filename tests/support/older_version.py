"""The program as it was at a commit of this repository, to be run on the folders of the one of now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.commands import IngressProcess
from tests.support.paths import ROOT

BEFORE_THE_AUDIT = "e5dc577"
"""The last commit whose ingress numbers nothing."""

_SERVE = [sys.executable, "-c", "import sys\nsys.argv[0] = 'bridge'\nfrom bridge.cli import main\nmain()", "serve"]


def older_code(commit: str, folder: Path) -> Path | None:
    """The code of a commit, in a folder that does not exist; None where the history does not have it."""
    archive = subprocess.run(["git", "archive", commit, "bridge", "common"], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        return None
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder


def run_from(code: Path, bridge: IngressProcess) -> IngressProcess:
    """Have an ingress that is not started yet run that code."""
    bridge.command = _SERVE
    bridge.env["PYTHONPATH"] = str(code)
    return bridge
