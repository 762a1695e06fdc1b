"""The first callback of a process does what later ones do, and nothing more."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from bridge.process import app
from bridge.process.app import Bridge
from bridge.settings import BridgeSettings
from tests.support import called
from tests.support.broker import Broker
from tests.support.callbacks import PostedCallback, read, recalled, samples, sent
from tests.support.commands import IngressProcess
from tests.support.http import wire
from tests.support.topic import Topics, create_topic
from tests.support.waiting import wait_until

STEPS = ("/bridge/http/", "/bridge/ingress/", "/bridge/normalize/", "/bridge/events/", "/bridge/query.py")
"""What is done for a callback, and for nothing else."""
ONCE_FILES = ("<frozen importlib", "/re/", "/typing.py")
"""Imports, patterns, looking at types."""
ONCE = {
    "_decoder",
    "_documented",
    "_shape",
    "_vocabulary",
    "builder",
    "connect",
    "create_conn",
    "defstruct",
    "strict_class",
}
"""Making what reads bodies; opening a database, a connection to Kafka."""


class Watched:
    """A process that tells what it calls.

    Args:
        ingress: the process.
        out: where it tells it.
    """

    def __init__(self, ingress: IngressProcess, out: Path) -> None:
        self._ingress = ingress
        self._out = out
        self._told = 0
        self._seconds = itertools.cycle(range(30))

    def called(
        self, *callbacks: PostedCallback, platform: str = "iOS", field: str = "Accept: */*"
    ) -> set[tuple[str, str]]:
        """What it has called since it was asked last: files and functions. These callbacks were sent meanwhile."""
        for callback in callbacks:
            # Each signed for another second: a signature is worked out once for each.
            query = callback.signed(request_time=int(time.time()) - next(self._seconds), OptPlatform=platform)
            with self._ingress.connection() as connection:
                connection.sendall(wire(callback, query, field))
                assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
        os.kill(self._ingress.server_pid, signal.SIGUSR1)
        told = self._out.with_suffix(f".{self._told}")
        self._told += 1
        wait_until(told.exists, timeout=60, what="what was called")
        return {(file, function) for file, function in orjson.loads(told.read_bytes())}


@pytest.fixture
def watched(tmp_path: Path, broker: Broker, topics: Topics) -> Iterator[Watched]:
    create_topic(broker.bootstrap, topics.events, partitions=3)
    create_topic(broker.bootstrap, topics.dlq, partitions=1)
    out = tmp_path / "called"
    variables = {"PYTHONPATH": str(Path(called.__file__).parent), called.OUT: str(out)}
    ingress = IngressProcess(tmp_path, broker.bootstrap, topics, **variables)
    with ingress.start_ready(120):
        ingress.wait_for(lambda: ingress.metric("bridge_kafka_ok") == 1, timeout=60, what="Kafka")
        yield Watched(ingress, out)


def of_steps(functions: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {one for one in functions if any(part in one[0] for part in STEPS)}


def done_once(functions: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {
        (file, function)
        for file, function in functions
        if function in ONCE or (function != "cast" and any(part in file for part in ONCE_FILES))
    }


def what_it_does_by_itself(watched: Watched) -> set[tuple[str, str]]:
    """Every now and then, whether a callback comes or not."""
    found: set[tuple[str, str]] = set()

    def has_refreshed() -> bool:
        found.update(watched.called())
        return "take_new_tokens" in {function for _, function in found}

    wait_until(has_refreshed, timeout=60, what="a look at files of tokens")
    return found


def test_the_first_callback_calls_nothing_that_later_ones_do_not_call(watched: Watched) -> None:
    assert done_once(watched.called()), "it shows nothing of a start"
    by_itself = what_it_does_by_itself(watched)
    first = watched.called(recalled("user-1")) - by_itself
    # Of another command, platform and second, with other fields: what is found out for each is so for the first of it.
    second = int(time.time())
    wait_until(lambda: int(time.time()) > second, timeout=60, what="the next second")
    later = watched.called(recalled("user-2"), sent("user-3"), read("user-1"), platform="Android", field="X-Other: x")
    assert of_steps(first), "it shows no callback"
    assert of_steps(first) - later == set()
    assert done_once(first) - later == set()


def test_the_first_of_each_command_imports_makes_and_connects_nothing(watched: Watched) -> None:
    assert done_once(watched.called()), "it shows nothing of a start"
    first, second = (watched.called(*samples().values()) for _ in range(2))
    assert done_once(first) - second == set()


async def test_when_callbacks_are_accepted_kafka_is_connected(
    tmp_path: Path, broker: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "KAFKA_S", 120.0)
    create_topic(broker.bootstrap, topics.events, partitions=3)
    create_topic(broker.bootstrap, topics.dlq, partitions=1)
    bridge = Bridge(
        BridgeSettings.model_validate(
            {
                "apps": {"1": ["token"]},
                "journal_dir": tmp_path,
                "admin_port": 0,
                "kafka_bootstrap_servers": broker.bootstrap,
                "topic": topics.events,
                "dlq_topic": topics.dlq,
            }
        )
    )
    await bridge.start()
    assert bridge.readiness().detail["kafka"] == "confirming"
    await bridge.stop(5.0)
