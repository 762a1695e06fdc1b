"""The units of deploy/systemd are what systemd understands, start what exists, and let it do little else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.settings import BridgeSettings
from consumers.settings import ConsumersSettings
from tests.support.commands import BRIDGE
from tests.support.paths import ROOT

UNITS = ROOT / "deploy" / "systemd"
INGRESS, WORKER, PORT = "im-bridge.service", "im-bridge-worker@.service", "im-bridge.socket"
INSTALLED = "/opt/im-bridge/bin"
WORST_EXPOSURE = 20
"""What `systemd-analyze security` gives at most, in tenths: 0 may nothing, 100 may all."""
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with the commands of this environment, which may lie in a path with spaces."""
    programs = tmp_path / "programs"
    programs.symlink_to(BRIDGE.parent)
    for unit in UNITS.iterdir():
        text = unit.read_text().replace(INSTALLED, str(programs))
        (tmp_path / unit.name.replace("@.", "@badges.")).write_text(text)
        (tmp_path / unit.name).write_text(text)
    return tmp_path


def directives(unit: str) -> dict[str, str]:
    """The last value of each."""
    return dict(re.findall(r"^(\w+)=(.*)$", (UNITS / unit).read_text(), re.MULTILINE))


def seconds(unit: str) -> float:
    return float(directives(unit)["TimeoutStopSec"])


def test_each_unit_is_tried() -> None:
    assert {path.name for path in UNITS.iterdir()} == {INGRESS, WORKER, PORT}


@needs_systemd
@pytest.mark.parametrize("unit", [INGRESS, WORKER.replace("@", "@badges"), PORT])
def test_systemd_understands_all_of_it(unit: str, units: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", units / unit],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if unit in line or str(units) in line]
    assert (told, done.returncode) == ([], 0), done.stderr


@needs_systemd
@pytest.mark.parametrize("unit", [INGRESS, WORKER.replace("@", "@badges")])
def test_it_may_do_little(unit: str, units: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={WORST_EXPOSURE}", "--no-pager", units / unit],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("unit", [INGRESS, WORKER])
def test_what_it_starts_exists(unit: str) -> None:
    program, *arguments = directives(unit)["ExecStart"].removeprefix(INSTALLED + "/").split()
    done = subprocess.run(
        [BRIDGE.with_name(program), arguments[0], "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_it_is_killed_only_after_a_graceful_stop_had_its_time() -> None:
    assert seconds(INGRESS) > 2 * BridgeSettings.model_fields["stop_timeout_s"].default
    assert seconds(WORKER) > 2 * ConsumersSettings.model_fields["stop_timeout_s"].default


def test_the_journals_are_where_it_may_write() -> None:
    found = directives(INGRESS)
    assert found["Environment"] == f"BRIDGE_JOURNAL_DIR=/var/lib/{found['StateDirectory']}"
    assert found["ProtectSystem"] == "strict"


def test_a_process_that_is_killed_for_want_of_memory_takes_no_others_along() -> None:
    assert directives(INGRESS)["OOMPolicy"] == "continue", "by default systemd would stop all of them"
