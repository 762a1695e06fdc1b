"""How long the first callback takes, after a start and after a pause, beside the usual one."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import msgspec

from bench.cores import SERVER, pinned
from bench.kafkas import Kafka
from bench.rows import AS_SERVED, PARTITIONS, START_S
from tests.support.callbacks import APP_ID, recalled
from tests.support.commands import IngressProcess
from tests.support.http import wire
from tests.support.topic import Topics

USUAL_CALLBACKS = 200
ACCOUNTS = 100
APART_S = 0.02
"""So far apart they come, each when all is done for the one before."""

_numbers = itertools.count()


class First(msgspec.Struct):
    """Milliseconds from the request to its reply, of each start."""

    after_start: list[float] = msgspec.field(default_factory=list)
    """The first one after /readyz says that callbacks are accepted."""
    usual: list[float] = msgspec.field(default_factory=list)
    """Each is the median of those that follow."""
    on_new_connection: list[float] = msgspec.field(default_factory=list)
    """The first one of another client."""
    after_idle: list[float] = msgspec.field(default_factory=list)
    """The first one after a pause."""

    def rows(self) -> list[tuple[str, float, float, float]]:
        """Name, median, least and most."""
        named = {
            "the first after a start": self.after_start,
            "the usual one": self.usual,
            "the first on a new connection": self.on_new_connection,
            "the first after the pause": self.after_idle,
        }
        return [(name, median(ms), min(ms), max(ms)) for name, ms in named.items()]


def measure(folder: Path, kafka: Kafka, *, starts: int, idle_s: float, say: Callable[[str], None]) -> First:
    """Start the bridge so often, and time replies."""
    topics = Topics.unique()
    kafka.create_topic(topics.events, PARTITIONS)
    kafka.create_topic(topics.dlq, 1)
    # Once without counting it: the first batches of a topic make Kafka open its files.
    _measure(folder / "first", kafka, topics, 0.0, First())
    found = First()
    for number in range(starts):
        say(f"start {number + 1} of {starts}")
        _measure(folder / f"start-{number}", kafka, topics, idle_s, found)
    return found


def _measure(folder: Path, kafka: Kafka, topics: Topics, idle_s: float, found: First) -> None:
    folder.mkdir()
    ingress = IngressProcess(folder, kafka.bootstrap, topics, **AS_SERVED)
    with pinned(SERVER):
        ingress.start_ready(START_S)
    with ingress, ingress.connection() as kept:
        found.after_start.append(_timed(kept))
        usual = []
        for _ in range(USUAL_CALLBACKS):
            time.sleep(APART_S)
            usual.append(_timed(kept))
        found.usual.append(median(usual))
        with ingress.connection() as other:
            found.on_new_connection.append(_timed(other))
        time.sleep(idle_s)
        with ingress.connection() as other:
            found.after_idle.append(_timed(other))


def _timed(connection: socket.socket) -> float:
    callback = recalled(f"user-{next(_numbers) % ACCOUNTS}")
    request = wire(callback, callback.signed(app_id=APP_ID))
    began = time.perf_counter()
    connection.sendall(request)
    reply = connection.recv(65_536)
    took_s = time.perf_counter() - began
    assert reply.startswith(b"HTTP/1.1 200"), reply
    return took_s * 1000
