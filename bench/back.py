"""How soon callbacks are accepted again when the process that answers them was killed, under load."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.kafkas import real_kafka
from bench.load.generator import LoadGenerator
from tests.support.callbacks import recalled
from tests.support.commands import IngressProcess
from tests.support.topic import Topics
from tests.support.waiting import wait_until

PARTITIONS = 12
CALLBACKS_PER_S = 500.0
BETWEEN_S = 1.5
"""Between two kills: a process that dies younger is not started at once."""


class Back(msgspec.Struct):
    """Seconds from `kill -9` to the reply to a callback that was sent behind it, ascending."""

    seconds: list[float]

    @property
    def median_s(self) -> float:
        """Of all kills."""
        return self.seconds[len(self.seconds) // 2]


def measure(folder: Path, *, kills: int, say: Callable[[str], object]) -> Back:
    """Kill the only process that answers, again and again."""
    with real_kafka(folder) as kafka:
        topics = Topics.unique()
        kafka.create_topic(topics.events, PARTITIONS)
        kafka.create_topic(topics.dlq, PARTITIONS)
        ingress = IngressProcess(folder, kafka.bootstrap, topics).start_ready()
        try:
            load = LoadGenerator(ingress.port, "open", CALLBACKS_PER_S, (kills + 1) * BETWEEN_S)
            found = []
            for _ in range(kills):
                time.sleep(BETWEEN_S)
                found.append(_back_s(ingress))
                say(f"back after {found[-1] * 1000:.0f} ms")
            load.result()
        finally:
            ingress.close()
    return Back(sorted(found))


def _back_s(ingress: IngressProcess) -> float:
    killed = ingress.server_pid
    os.kill(killed, signal.SIGKILL)
    began = time.perf_counter()
    wait_until(lambda: killed not in ingress.children(), timeout=10, what="the end of the process")
    ingress.post(recalled("back", unread=1))
    return time.perf_counter() - began
