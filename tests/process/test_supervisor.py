"""What a supervisor knows of its children: whether they live, and what they count."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from bridge.process.child_process import ChildProcess
from bridge.process.heartbeat import HeartbeatMonitor, send_heartbeats
from bridge.process.supervisor import MergedMetrics

METRICS = """# HELP bridge_accepted_total Callbacks.
# TYPE bridge_accepted_total counter
bridge_accepted_total{{command="a"}} {count}
"""


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def child(number: int, metrics: str) -> ChildProcess:
    made = ChildProcess(number, Path(), hung_after_s=1.0, stop_timeout_s=1.0)
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


def test_silence_lasts_from_the_last_byte_that_a_child_has_sent(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair
    now = [100.0]
    monkeypatch.setattr("bridge.process.heartbeat.time", SimpleNamespace(monotonic=lambda: now[0]))
    monitor = HeartbeatMonitor(ours)
    now[0] += 3
    assert monitor.silence_s() == 3
    theirs.send(b".")
    assert monitor.silence_s() == 0
    now[0] += 2
    assert monitor.silence_s() == 2
    theirs.close()
    assert monitor.silence_s() == 2, "the end of the stream is no beat"


async def test_a_child_sends_a_beat_from_its_event_loop(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    ours.setblocking(False)
    task = asyncio.create_task(send_heartbeats(theirs))
    assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(ours, 10), 5) == b"."
    task.cancel()


async def test_a_child_whose_parent_is_gone_shuts_itself_down(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair
    sent: list[int] = []
    monkeypatch.setattr("os.kill", lambda _pid, number: sent.append(number))
    ours.close()
    await asyncio.wait_for(send_heartbeats(theirs), 5)
    assert sent == [signal.SIGTERM]
