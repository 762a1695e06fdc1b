"""The file `.env` where a command is started, when something is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.commands import run_bridge

SEND = ("send", "C2C.CallbackAfterSendMsg", "--url", "http://127.0.0.1:1/")


@pytest.mark.parametrize("content", [b"BRIDGE_PORT=\xff\xfe\n", "BRIDGE_PORT=8080".encode("utf-16")])
def test_what_is_no_utf8_is_told_with_the_path(content: bytes, tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(content)
    done = run_bridge(*SEND, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}/.env has settings and is no text in UTF-8\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_cannot_be_read_is_told_with_the_path(tmp_path: Path) -> None:
    (tmp_path / ".env").touch(0o000)
    done = run_bridge(*SEND, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"error: {tmp_path}/.env has settings and cannot be read: Permission denied\n"


def test_a_line_that_sets_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text('# mine\nBRIDGE_PORT=1\nBRIDGE_APPS=\'{"1400000000":["s3cret"]}\n')
    done = run_bridge("send", "C2C.CallbackAfterSendMsg", cwd=tmp_path)
    assert done.stderr.splitlines()[0] == (
        f"warning: line 3 of {tmp_path}/.env cannot be understood and has no effect: write NAME=value, and close quotes"
    )
    assert "http://127.0.0.1:1/" in done.stderr, "the other lines count"
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("begins", ["", "\ufeff"])
def test_files_of_windows_are_read_too(begins: str, ends: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{begins}BRIDGE_PORT=1{ends}BRIDGE_APPS={{}}{ends}", newline="")
    done = run_bridge(*SEND, cwd=tmp_path)
    assert done.stderr == 'error: BRIDGE_APPS: no app is named. Give at least one, as in {"1400000000":["token-a"]}\n'
