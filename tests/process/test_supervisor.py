"""What a supervisor knows of its children: whether they live, and what they count."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.normalize.differences import DriftReport
from bridge.process.child_process import ChildProcess
from bridge.process.heartbeat import Heart, HeartbeatMonitor
from bridge.process.supervisor import MergedMetrics, Supervisor
from bridge.settings import BridgeSettings
from common.admin import Readiness

METRICS = """# HELP bridge_accepted_total Callbacks.
# TYPE bridge_accepted_total counter
bridge_accepted_total{{command="a"}} {count}
"""


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


def child(number: int, metrics: str) -> ChildProcess:
    made = ChildProcess(number, Path(), settings())
    made.metrics = metrics
    return made


def test_metrics_of_all_children_are_one_family_each_sample_with_its_process() -> None:
    children = [child(0, METRICS.format(count=3)), child(1, METRICS.format(count=4)), child(2, "")]
    (family,) = MergedMetrics(children).collect()
    assert (family.name, family.documentation, family.type) == ("bridge_accepted", "Callbacks.", "counter")
    assert [(sample.name, sample.labels, sample.value) for sample in family.samples] == [
        ("bridge_accepted_total", {"command": "a", "process": "0"}, 3.0),
        ("bridge_accepted_total", {"command": "a", "process": "1"}, 4.0),
    ]


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
    heart = Heart(theirs)
    task = asyncio.create_task(heart.beat())
    await wait_for(lambda: monitor.silence_s() == 0)
    assert not monitor.is_accepting
    heart.accepting()
    await wait_for(lambda: monitor.silence_s() == 0 and monitor.is_accepting)
    task.cancel()


async def test_a_child_whose_parent_is_gone_shuts_itself_down(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair
    sent: list[int] = []
    monkeypatch.setattr("os.kill", lambda _pid, number: sent.append(number))
    ours.close()
    await asyncio.wait_for(Heart(theirs).beat(), 60)
    assert sent == [signal.SIGTERM]


class FixedSilence:
    """Stands for a monitor."""

    def __init__(self, silence_s: float, *, is_accepting: bool) -> None:
        self.is_accepting = is_accepting
        self.silence_s = lambda: silence_s


def test_a_start_has_a_limit_of_its_own_that_doubles_each_time_and_the_log_names_the_setting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = child(7, "")
    starting = {silence_s: FixedSilence(silence_s, is_accepting=False) for silence_s in (59.0, 61.0, 119.0, 121.0)}
    is_hung = one._is_hung
    assert [is_hung(starting[silence_s]) for silence_s in (59, 61, 61, 119, 121)] == [False, True, False, False, True]  # type: ignore[arg-type]
    assert "not heard of for 61 s (BRIDGE_START_TIMEOUT_S); the next one has 120 s" in caplog.text
    assert "the next one has 240 s" in caplog.text
    assert is_hung(FixedSilence(11, is_accepting=True))  # type: ignore[arg-type]
    assert "process 7 is killed: its event loop has not moved for 11 s (BRIDGE_HUNG_AFTER_S)" in caplog.text


def test_readiness_is_that_of_those_who_accept_and_shows_all_of_every_process() -> None:
    supervisor = Supervisor(settings(workers=3))
    with supervisor._folder:
        assert supervisor.readiness().ready is False
        for number, (alive, accepting, ready) in enumerate(
            [(True, True, True), (True, False, False), (False, False, False)]
        ):
            one = supervisor._children[number]
            one._process = object() if alive else None  # type: ignore[assignment]
            one._monitor = FixedSilence(0, is_accepting=accepting)  # type: ignore[assignment]
            one.readiness = Readiness(ready, {"kafka": "ok"})
        shown = supervisor.readiness()
        assert shown.ready, "a callback cannot come to one that does not accept yet"
        assert shown.detail == {
            "state": "serving",
            "processes": {"0": {"ready": True, "kafka": "ok"}, "1": {"ready": False, "kafka": "ok"}},
        }
        supervisor._children[0].readiness = Readiness(False)
        assert not supervisor.readiness().ready


async def test_of_processes_that_do_not_tell_what_differed_the_number_is_told() -> None:
    supervisor = Supervisor(settings(workers=3))
    with supervisor._folder:
        for one, accepting in zip(supervisor._children, (True, True, False), strict=True):
            one._monitor = FixedSilence(0, is_accepting=accepting)  # type: ignore[assignment]
        report = msgspec.json.decode(await supervisor._drift_page(), type=DriftReport)
    assert (report.differences, report.since, report.silent) == ([], [], 2)


def test_where_the_path_of_the_temporary_folder_is_too_long_for_sockets_they_are_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    supervisor = Supervisor(settings(workers=64))
    with supervisor._folder as folder, socket.socket(socket.AF_UNIX) as one:
        one.bind(f"{folder}/63.sock")
        assert Path(folder).stat().st_mode & 0o077 == 0
    assert not list(deep.iterdir())
    monkeypatch.setattr("bridge.process.supervisor.SHORT_PLACES", (str(deep),))
    with pytest.raises(OSError, match="set TMPDIR to a folder with a shorter one"):
        Supervisor(settings(workers=2))


async def test_nobody_listens_until_a_child_does(monkeypatch: pytest.MonkeyPatch) -> None:
    listening: list[int] = []

    async def run(self: ChildProcess, listener: socket.socket, stopping: asyncio.Event) -> str:
        listening.append(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        stopping.set()
        return "ended"

    monkeypatch.setattr(ChildProcess, "run", run)
    await asyncio.wait_for(Supervisor(settings(workers=2, host="127.0.0.1", port=0, admin_port=0)).run(), 30)
    assert set(listening) == {0}
