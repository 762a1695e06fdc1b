"""Reloads and stops while something else is wrong: settings that change meanwhile, a parent that is killed, no room."""

from __future__ import annotations

import os
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import MakeIngress
from tests.support.callbacks import recalled
from tests.support.reloading import NOWHERE, PATIENT_S, copied_program, is_back, reload, replace, wait_for_reload
from tests.support.waiting import wait_until


@pytest.mark.slow
@pytest.mark.parametrize("end", ["put right", "SIGTERM"])
def test_settings_that_become_wrong_between_check_and_takeover_end_no_process(
    end: str, ingress: MakeIngress, tmp_path: Path
) -> None:
    program = copied_program(tmp_path / "program")
    bridge = ingress(NOWHERE, PYTHONPATH=str(program))
    serving = bridge.server_pid
    settings = bridge.log.parent / ".env"
    spoil = f"asyncio.run(make()); open({str(settings)!r}, 'w').write('BRIDGE_GATHER_MS=soon\\n')"
    replace(program / "bridge/process/check.py", "asyncio.run(make())", spoil)
    os.kill(bridge.pid, signal.SIGHUP)
    bridge.wait_for_log("BRIDGE_GATHER_MS.*(?s:.*)put the settings right", timeout=PATIENT_S)
    assert bridge.children() == [serving]
    assert bridge.post(recalled("u", unread=1)).status == 200
    if end == "put right":
        settings.write_text("BRIDGE_GATHER_MS=1\n")
        wait_for_reload(bridge, 1, "done")
        assert bridge.post(recalled("u", unread=1)).status == 200
    assert bridge.terminate(PATIENT_S) == 0
    assert not bridge.group()
    assert bridge.output().count("bridge.process.app: stopped") >= 1


@pytest.mark.slow
def test_a_process_that_cannot_end_does_not_outlive_its_parent(ingress: MakeIngress, tmp_path: Path) -> None:
    program = copied_program(tmp_path / "program")
    replace(program / "bridge/process/app.py", "await bridge.stop(", "await asyncio.Event().wait(), (")
    bridge = ingress(NOWHERE, PYTHONPATH=str(program), BRIDGE_STOP_TIMEOUT_S="1")
    bridge.kill_parent(timeout=PATIENT_S)
    bridge.start_ready()


def test_without_the_temporary_folder_processes_are_started_and_replaced(ingress: MakeIngress, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    bridge = ingress(NOWHERE, TMPDIR=str(folder))
    shutil.rmtree(folder)
    killed = bridge.server_pid
    os.kill(killed, signal.SIGKILL)
    bridge.wait_for(partial(is_back, bridge, killed), timeout=PATIENT_S, what="another process")
    reload(bridge, 1)
    assert bridge.post(recalled("u", unread=1)).status == 200
    assert bridge.terminate(PATIENT_S) == 0


def test_a_parent_that_is_killed_leaves_nobody_on_the_port(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE, BRIDGE_WORKERS="2", BRIDGE_STOP_LINGER_S="3600")
    os.kill(bridge.pid, signal.SIGKILL)
    wait_until(lambda: not bridge.group(), timeout=PATIENT_S, what="the end of the children")
    bridge.start_ready()
