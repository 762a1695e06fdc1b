"""Commands of a user who may not read what they are about: nobody is told that nothing is there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bridge.devstack.service import environment
from bridge.journal.record import Record, pack
from bridge.journal.store import Row, Store
from tests.conftest import MakeIngress
from tests.support.commands import BRIDGE
from tests.support.ports import free_port

IS_ROOT = os.geteuid() == 0
AS_OTHER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if IS_ROOT else []
"""Root too may read then what its mode allows, and no more."""
NOT_OURS = "we may not read it: run this as the user of the ingress"

pytestmark = pytest.mark.skipif(IS_ROOT and shutil.which("setpriv") is None, reason="root may read everything")


def told(*command: str | Path, code: int, **settings: str) -> str:
    """What it prints."""
    env = environment({"COLUMNS": "250", **settings})
    program = BRIDGE.with_name(str(command[0]))
    ended = subprocess.run(
        [*AS_OTHER, program, *command[1:]], env=env, capture_output=True, text=True, timeout=180, check=False
    )
    shown = ended.stdout + ended.stderr
    assert "Traceback" not in shown
    assert ended.returncode == code, shown
    return shown


def left_behind(folder: Path, value: bytes) -> Path:
    """A journal whose owner is gone."""
    store = Store.create(folder)
    store.write([Row(1, "im.events", 1, 100, pack([Record("im.events", b"k", value, [], 5)]))], [], sync=True)
    store.close()
    return store.path


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder of another user, which nobody else may look into."""
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "file").write_text("{}")
    folder.chmod(0)
    return folder


def test_journals_that_may_not_be_read_are_not_called_empty_nor_left_behind(tmp_path: Path) -> None:
    left_behind(tmp_path, b"shown")
    theirs = left_behind(tmp_path, b"hidden")
    theirs.chmod(0)
    shown = told("bridge", "journal", "show", tmp_path, code=1)
    assert "shown" in shown
    assert f"{theirs.name} cannot be read to its end: {NOT_OURS}" in shown
    assert "not all journals can be read: what these hold is still in them" in shown
    assert "hold nothing" not in shown
    listed = json.loads(told("bridge", "journal", "list", tmp_path, "--json", code=0))["journals"]
    assert [(one["alive"], one["problem"]) for one in listed] == [(False, ""), (None, NOT_OURS)]
    assert "Run it as the user of the ingress" in told("bridge", "status", tmp_path, code=1)


@pytest.mark.parametrize("place", ["refused", f"refused/{1:020d}-0123abcd.record"], ids=["folder", "file"])
def test_a_quarantine_that_may_not_be_read_is_not_called_empty(place: str, tmp_path: Path) -> None:
    (tmp_path / "refused").mkdir()
    (tmp_path / "refused" / f"{1:020d}-0123abcd.record").write_bytes(b"theirs")
    (tmp_path / place).chmod(0)
    shown = told("bridge", "journal", "show", "--refused", tmp_path, code=1)
    assert "Permission denied" in shown
    assert "holds nothing" not in shown


def test_beside_processes_that_answer_the_owner_of_such_a_journal_is_unknown(ingress: MakeIngress) -> None:
    bridge = ingress(f"127.0.0.1:{free_port()}")
    theirs = left_behind(bridge.journal_dir, b"hidden")
    theirs.chmod(0)
    shown = told("bridge", "status", bridge.journal_dir, code=1)
    assert f"{os.getpid()} unknown" in shown
    assert "whose owner is gone" not in shown


def test_the_doctor_tells_of_a_folder_that_may_not_be_looked_into(closed: Path) -> None:
    shown = told("bridge", "doctor", code=1, BRIDGE_JOURNAL_DIR=str(closed / "journal"))
    assert "cannot be written (Permission denied): run this as the user of the ingress" in shown


@pytest.mark.parametrize(
    ("command", "settings", "says"),
    [
        (("bridge", "doctor"), {"BRIDGE_APPS_FILE": "{file}"}, "BRIDGE_APPS_FILE names {file}, which cannot be read"),
        (("bridge", "send", "C2C.CallbackAfterSendMsg"), {"BRIDGE_APPS_FILE": "{file}"}, "which cannot be read"),
        (
            ("consumers", "doctor"),
            {"CONSUMERS_REDIS_URL": "rediss://localhost/0?ssl_ca_certs={file}"},
            "the option ssl_ca_certs names {file}, which we may not read",
        ),
    ],
    ids=["doctor", "send", "Redis"],
)
def test_a_file_of_the_settings_that_may_not_be_read_is_named(
    command: tuple[str, ...], settings: dict[str, str], says: str, closed: Path
) -> None:
    file = str(closed / "file")
    given = {name: value.format(file=file) for name, value in settings.items()}
    assert says.format(file=file) in told(*command, code=2, **given)
