"""The sockets in the folder of the journals are those of processes that live."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from bridge.process import status_socket
from bridge.process.status_socket import StatusSocket, short_path

T = TypeVar("T")


def listening_at(path: Path) -> socket.socket:
    """A socket on which somebody listens."""
    listener = socket.socket(socket.AF_UNIX)
    with short_path(path) as short:
        listener.bind(short)
    listener.listen()
    return listener


def names_in(folder: Path) -> set[str]:
    """Of all that is in a folder."""
    return {path.name for path in folder.iterdir()}


async def at_once(function: Callable[[], T]) -> T:
    """What the disk does for the test."""
    return function()


async def nothing() -> bytes:
    """A page."""
    return b"{}"


async def test_those_of_processes_that_have_gone_meanwhile_are_removed_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_socket, "TIDY_INTERVAL_S", 0.0)
    one = StatusSocket(tmp_path, at_once, nothing)
    await one.ensure()
    (own,) = names_in(tmp_path)
    listening_at(tmp_path / "gone-1.status").close()
    with listening_at(tmp_path / "other-2.status"):
        await one.ensure()
        assert names_in(tmp_path) == {own, "other-2.status"}
    await one.stop()
