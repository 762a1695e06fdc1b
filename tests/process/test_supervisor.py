"""What a parent knows of its children: whether they live, and what they count."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import generate_latest

from bridge.normalize.differences import DriftReport
from bridge.process import family
from bridge.process.child import last_metrics
from bridge.process.child_process import ChildProcess
from bridge.process.family import make_socket_folder, socket_path
from bridge.process.forking import Forks
from bridge.process.handover import HandedChild, HandedSocket, Handover
from bridge.process.heartbeat import Heart, HeartbeatMonitor, ask_to_stop
from bridge.process.ports import Port, Ports
from bridge.process.slot import Slot
from bridge.process.supervisor import Supervisor
from bridge.settings import BridgeSettings
from common.admin import Readiness


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def settings(**fields: Any) -> BridgeSettings:
    return BridgeSettings.model_validate({"apps": {"1400000000": ["token-a"]}, **fields})


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what it waits for is polled
            await asyncio.sleep(0.01)


opened: list[socket.socket] = []
"""Closed behind each test."""


class Standing:
    """A process that does nothing, and is deaf to SIGTERM, seen as a child of an ingress; it begins with `beats`."""

    def __init__(self, number: int = 0, *, beats: bytes = b"", start_timeout_s: float = 60, **fields: Any) -> None:
        ours, self.theirs = socket.socketpair()
        opened.append(self.theirs)
        self.theirs.send(beats)
        pid = os.posix_spawn("/bin/sleep", ["sleep", "3600"], {}, setsigmask=[signal.SIGTERM])
        self.seen = ChildProcess(
            HandedChild(number, pid, ours.detach(), "/nowhere"), settings(**fields), start_timeout_s
        )

    async def end(self) -> str:
        """End it; what is told of its end."""
        with suppress(ProcessLookupError):
            os.kill(self.seen.pid, signal.SIGKILL)
        self.seen.look()
        return await asyncio.wait_for(self.seen.ended, 60)


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while opened:
        opened.pop().close()


def test_silence_lasts_from_the_last_byte_that_a_child_has_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    passed = iter([3.0, 1.0, 2.0, 1.0])
    monitor = HeartbeatMonitor(ours, lambda: next(passed))
    assert monitor.silence_s() == 3
    theirs.send(b".")
    assert (monitor.silence_s(), monitor.is_accepting) == (0, False)
    assert monitor.silence_s() == 2
    theirs.close()
    assert monitor.silence_s() == 3, "the end of the stream is no beat"


async def test_a_child_sends_beats_from_its_event_loop_which_say_whether_it_accepts(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    monitor = HeartbeatMonitor(ours, lambda: 1.0)
    heart = Heart(theirs, on_stop=lambda: None, on_alone=lambda: None)
    task = asyncio.create_task(heart.beat())
    await wait_for(lambda: monitor.silence_s() == 0)
    assert not monitor.is_accepting
    heart.accepting()
    await wait_for(lambda: monitor.silence_s() == 0 and monitor.is_accepting)
    task.cancel()


async def test_a_child_is_told_that_it_is_to_stop_and_that_its_parent_is_gone(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    told: list[str] = []
    ask_to_stop(ours)
    ours.close()
    ask_to_stop(ours)
    heart = Heart(theirs, on_stop=lambda: told.append("stop"), on_alone=lambda: told.append("alone"))
    await asyncio.wait_for(heart.beat(), 60)
    assert told == ["stop", "alone"]


async def test_a_child_that_hangs_is_killed_and_the_log_names_the_setting(caplog: pytest.LogCaptureFixture) -> None:
    serving = Standing(7, beats=b"!", hung_after_s=1.1)
    assert await asyncio.wait_for(serving.seen.begins(), 60)
    assert await asyncio.wait_for(serving.seen.ended, 60) == "ended with signal SIGKILL"
    assert "process 7 is killed: its event loop has not moved for " in caplog.text
    assert "(BRIDGE_HUNG_AFTER_S)" in caplog.text
    starting = Standing(8, start_timeout_s=0.1)
    assert not await asyncio.wait_for(starting.seen.begins(), 60)
    assert "process 8 is killed: it has begun, and was not heard of for" in caplog.text
    assert starting.seen.was_too_slow


async def test_who_does_not_stop_in_time_is_killed() -> None:
    deaf = Standing(beats=b"!", stop_timeout_s=0.01)
    deaf.seen.terminate()
    assert await asyncio.wait_for(deaf.seen.ended, 60) == "ended with signal SIGKILL"


async def test_after_a_start_that_took_too_long_the_next_has_twice_the_time() -> None:
    given: list[float] = []
    stopping = asyncio.Event()

    async def start(number: int, timeout_s: float) -> ChildProcess:
        given.append(timeout_s)
        if len(given) == 3:
            stopping.set()
        return Standing(number, start_timeout_s=0.1).seen

    await asyncio.wait_for(Slot(0, settings(start_timeout_s=30), start, stopping).keep_running(), 60)
    assert given == [30, 60, 120]


async def test_a_successor_that_does_not_begin_replaces_nobody_and_one_that_does_lets_the_former_go() -> None:
    former, broken, good = Standing(beats=b"!"), Standing(), Standing(beats=b"!")
    coming = iter([broken, good])

    async def start(_number: int, _timeout_s: float) -> ChildProcess:
        return next(coming).seen

    slot = Slot(0, settings(), start, asyncio.Event(), former.seen)
    os.kill(broken.seen.pid, signal.SIGKILL)
    assert await asyncio.wait_for(slot.replace(), 60) == "ended with signal SIGKILL"
    assert (slot.child, former.seen.is_leaving) == (former.seen, False)
    assert await asyncio.wait_for(slot.replace(), 60) == ""
    assert slot.child is good.seen
    assert await former.seen.ended == "ended with signal SIGUSR2", "asked to go, and not killed"
    await good.end()


def supervisor(folder: Path, handover: Handover | None = None, **fields: Any) -> Supervisor:
    opened.append(socket.socket())
    return Supervisor(settings(**fields), Forks(), Ports(Port(opened[-1], "127.0.0.1", 0), None), folder, handover)


async def test_readiness_is_that_of_those_who_accept_and_shows_all_of_every_process(tmp_path: Path) -> None:
    parent = supervisor(tmp_path, workers=3)
    assert parent.readiness().ready is False
    standing = [Standing(number, beats=b"!" if number == 0 else b".") for number in range(2)]
    assert await asyncio.wait_for(standing[0].seen.begins(), 60)
    for slot, one in zip(parent._slots, standing, strict=False):
        slot.child = one.seen
        one.seen.readiness = Readiness(slot.number == 0, {"kafka": "ok"})
    shown = parent.readiness()
    assert shown.ready, "a callback cannot come to one that does not accept yet"
    assert shown.detail == {
        "state": "serving",
        "processes": {"0": {"ready": True, "kafka": "ok"}, "1": {"ready": False, "kafka": "ok"}},
        "pid": os.getpid(),
        "reload": {"number": 0, "state": "none"},
    }
    roll = parent._roll()
    assert (roll.ready, roll.wanted, roll.accepting, roll.restarts) == (True, 3, 1, 0)
    assert roll.ready_by_process == {"0": True, "1": False, "2": False}
    standing[0].seen.readiness = Readiness(False)
    assert not parent.readiness().ready
    for one in standing:
        await one.end()


async def test_readiness_of_a_lone_process_is_plain(tmp_path: Path) -> None:
    parent = supervisor(tmp_path)
    one = Standing(beats=b"!")
    assert await asyncio.wait_for(one.seen.begins(), 60)
    parent._slots[0].child = one.seen
    one.seen.readiness = Readiness(True, {"kafka": "away", "state": "serving"})
    assert parent.readiness().detail["kafka"] == "away"
    await one.end()


async def test_a_child_that_ends_unasked_is_counted_through_a_reload(tmp_path: Path) -> None:
    parent = supervisor(tmp_path, handover=Handover(HandedSocket(-1, "", 0), restarts=2))
    assert parent._roll().restarts == 2
    coming = iter([Standing(beats=b"!"), Standing(beats=b"!")])

    async def start(_number: int, _timeout_s: float) -> ChildProcess:
        return next(coming).seen

    slot = parent._slots[0] = Slot(0, settings(), start, parent._stopping)
    keeping = asyncio.create_task(slot.keep_running())
    await wait_for(lambda: slot.child is not None)
    first = slot.child
    assert first is not None
    first.kill()
    first.look()
    await wait_for(lambda: slot.child not in {None, first})
    assert parent._roll().restarts == 3
    parent._stopping.set()
    assert slot.child is not None
    slot.child.kill()
    slot.child.look()
    await asyncio.wait_for(keeping, 60)
    assert parent._roll().restarts == 3, "those that are to end are not counted"


def process_that_ends() -> int:
    return os.posix_spawn("/bin/true", ["true"], {})


async def test_what_a_process_leaves_at_its_end_is_its_last_page_of_metrics(tmp_path: Path) -> None:
    parent = supervisor(tmp_path)
    ours, theirs = socket.socketpair()
    opened.append(theirs)
    pid = process_that_ends()
    admin = tmp_path / "0.sock"
    last_metrics(admin).write_text(
        "# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1\n"
        '# TYPE bridge_accepted_total counter\nbridge_accepted_total{command="a"} 3\n'
    )
    child = parent._family.adopt(HandedChild(0, pid, ours.detach(), str(admin)), 60)
    child.look()
    assert await asyncio.wait_for(child.ended, 60) == "ended with exit status 0"
    await wait_for(lambda: not parent._family.pages())
    assert 'bridge_accepted_total{command="a"} 3.0' in generate_latest(parent._totals).decode()
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240


async def test_of_processes_that_do_not_tell_what_differed_the_number_is_told(tmp_path: Path) -> None:
    parent = supervisor(tmp_path, workers=3)
    standing = [Standing(number, beats=b"!" if number < 2 else b"") for number in range(3)]
    for slot, one in zip(parent._slots, standing, strict=True):
        slot.child = one.seen
    for one in standing[:2]:
        assert await asyncio.wait_for(one.seen.begins(), 60)
    report = msgspec.json.decode(await parent._drift_page(), type=DriftReport)
    assert (report.differences, report.since, report.silent) == ([], [], 2)
    for one in standing:
        await one.end()


def test_where_the_path_of_the_temporary_folder_is_too_long_for_sockets_they_are_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    folder = make_socket_folder()
    path = socket_path(folder, 63)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
    assert folder.stat().st_mode & 0o077 == 0
    assert not list(deep.iterdir())
    path.unlink()
    folder.rmdir()
    monkeypatch.setattr(family, "SHORT_PLACES", (str(deep),))
    with pytest.raises(OSError, match="set TMPDIR to a folder with a shorter one"):
        make_socket_folder()


def test_where_python_finds_no_temporary_folder_as_on_a_full_disk_sockets_have_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._get_default_tempdir", _none_is_usable)
    monkeypatch.setattr(family, "SHORT_PLACES", (str(tmp_path),))
    assert make_socket_folder().parent == tmp_path


def _none_is_usable() -> str:
    raise FileNotFoundError("no usable temporary directory")
