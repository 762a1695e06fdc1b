"""What a process does that was forked to serve."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from bridge.process import child
from bridge.settings import BridgeSettings
from common import logs
from common.settings import load_settings


def test_a_process_that_is_forked_when_all_is_to_end_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logs, "configure", lambda **_: pytest.fail("it has begun"))
    listener = socket.socket()
    listener.close()
    monkeypatch.setenv("BRIDGE_APPS", '{"1400000000":["token"]}')
    monkeypatch.setenv("BRIDGE_JOURNAL_DIR", str(tmp_path / "journal"))
    settings = load_settings(BridgeSettings)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child.run(settings, listener, theirs, tmp_path / "admin", "0", is_awaited=True)
    assert capfd.readouterr() == ("", "")
    assert not (tmp_path / "journal").exists()
