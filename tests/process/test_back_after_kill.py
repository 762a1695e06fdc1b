"""A process in whose place nobody serves does nothing that callbacks need not wait for."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.http.server import LISTEN_BACKLOG
from bridge.journal.journal import Journal
from bridge.process import app, warm_up
from bridge.process.app import Bridge
from bridge.process.family import Family
from bridge.process.forking import Forks
from bridge.publish.publisher import Publisher
from bridge.settings import BridgeSettings


@pytest.fixture
def silent_kafka() -> Iterator[str]:
    """The address of a broker that takes connections, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def settings(tmp_path: Path, silent_kafka: str) -> BridgeSettings:
    return BridgeSettings.model_validate(
        {"apps": {"1": ["token"]}, "journal_dir": tmp_path, "admin_port": 0, "kafka_bootstrap_servers": silent_kafka}
    )


async def test_who_is_awaited_begins_before_kafka_answers_and_warms_nothing_again(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError("its parent has done that")

    monkeypatch.setattr(app, "KAFKA_S", 3600.0)
    monkeypatch.setattr(warm_up.WarmUp, "post", fail)
    bridge = Bridge(settings)
    await asyncio.wait_for(bridge.start(is_awaited=True), 60)
    assert bridge.readiness().detail["kafka"] == "away"
    await bridge.stop(2.0)


@pytest.mark.parametrize(
    ("is_awaited", "disk_ok", "waits"), [(False, True, True), (True, True, False), (True, False, True)]
)
async def test_kafka_is_waited_for_where_nobody_waits_or_nothing_else_would_take_a_callback(
    settings: BridgeSettings, monkeypatch: pytest.MonkeyPatch, *, is_awaited: bool, disk_ok: bool, waits: bool
) -> None:
    waited_s: list[float] = []

    async def settle(_publisher: Publisher, within_s: float) -> None:
        waited_s.append(within_s)

    monkeypatch.setattr(Publisher, "settle", settle)
    monkeypatch.setattr(Journal, "disk_ok", property(lambda _: disk_ok))
    bridge = Bridge(settings)
    await bridge.start(is_awaited=is_awaited)
    await bridge.stop(2.0)
    assert waited_s == [app.KAFKA_S if waits else 0.0]


class Deaf(Forks):
    """Starts processes that do nothing, and notes what they would have been told."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited: list[bool] = []
        self.started: list[int] = []

    async def fork(self, work: Callable[[], None], *, keep: Sequence[int]) -> int:
        """Start one."""
        assert isinstance(work, partial)
        self.awaited.append(work.keywords["is_awaited"])
        self.started.append(os.posix_spawn("/bin/sleep", ["sleep", "3600"], {}))  # noqa: ASYNC221 - it returns at once
        return self.started[-1]


async def test_a_process_is_awaited_where_the_port_is_open_and_nobody_accepts(
    settings: BridgeSettings, tmp_path: Path
) -> None:
    forks = Deaf()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        family = Family(settings, forks, listener, tmp_path / "sockets", on_end=lambda _: None)
        first = await family.start(0, 60)
        listener.listen(LISTEN_BACKLOG)
        first.accepting.set()
        successor = await family.start(0, 60)
        first.is_leaving = True
        await family.start(1, 60)
        successor.accepting.set()
        await family.start(2, 60)
        for pid in forks.started:
            os.kill(pid, signal.SIGKILL)
        await asyncio.wait_for(asyncio.gather(first.ended, successor.ended), 60)
        await family.start(0, 60)
        os.kill(forks.started[-1], signal.SIGKILL)
        await asyncio.wait_for(family.end(), 60)
    # The first of all; while the first serves; when that leaves; while its successor serves; when all were killed.
    assert forks.awaited == [False, False, True, False, True]
