"""A long outage under load: how much memory it costs, how fast the backlog leaves, and what live callbacks notice."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.kafkas import RealKafka, real_kafka
from bench.load.generator import LoadGenerator
from bench.rows import PARTITIONS, start_ingress
from tests.support.commands import IngressProcess
from tests.support.topic import Topics

# Brokers have machines of their own. On one disk with the journal, what they write back when a gigabyte has come would
# hold up its syncs for a tenth of a second each.
BROKER_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None
LIVE_S = 20.0
SAMPLE_S = 0.2


class Outage(msgspec.Struct):
    """The outcome."""

    minutes: float
    rate: float
    unanswered: int
    """Callbacks without a good answer within 2 s, of all."""
    rss_before: int
    rss_max: int
    """During outage and drain."""
    backlog_records: int
    drain_s: float
    p99_before_ms: float
    p99_frozen_ms: float
    p99_drain_ms: float
    """The worst of the spells of 20 s in which the backlog was drained."""

    @property
    def drain_ratio(self) -> float:
        """How fast the topic grows while the backlog is drained, in live rates."""
        return (self.backlog_records / self.drain_s + self.rate) / self.rate


def outage(folder: Path, *, minutes: float, rate: float, say: Callable[[str], None]) -> Outage:
    """Freeze the broker for so long, thaw it, and watch."""
    topics = Topics.unique()
    with tempfile.TemporaryDirectory(dir=BROKER_DISK) as disk, real_kafka(Path(disk)) as kafka:
        kafka.create_topic(topics.events, PARTITIONS)
        kafka.create_topic(topics.dlq, 1)
        ingress = start_ingress(folder, kafka.bootstrap, topics)
        try:
            return _run(ingress, kafka, minutes, rate, say)
        finally:
            ingress.close()


def _run(ingress: IngressProcess, kafka: RealKafka, minutes: float, rate: float, say: Callable[[str], None]) -> Outage:
    def live(seconds: float) -> dict[str, float]:
        return LoadGenerator(ingress.port, "open", rate, seconds).result()

    live(LIVE_S / 2)  # Warms up.
    before = live(LIVE_S)
    rss_before = ingress.rss_bytes
    with Highest(lambda: ingress.rss_bytes) as rss:
        kafka.freeze()
        say(f"frozen for {minutes:g} minutes at {rate:,.0f}/s")
        frozen = live(minutes * 60)
        published = _published(ingress)
        accepted = ingress.metric("bridge_accepted_total")
        load = LoadGenerator(ingress.port, "open", rate, LIVE_S)
        kafka.thaw()
        began = time.monotonic()
        say(f"thawed, with {accepted - published:,.0f} events to publish")
        spells = []
        while not _drained(ingress, load, rate):
            spells.append(load.result())
            load = LoadGenerator(ingress.port, "open", rate, LIVE_S)
        drain_s = time.monotonic() - began
        spells.append(load.result())
    everything = (before, frozen, *spells)
    return Outage(
        minutes=minutes,
        rate=rate,
        unanswered=int(sum(one["scheduled"] - one["in_time"] for one in everything)),
        rss_before=rss_before,
        rss_max=rss.max,
        backlog_records=int(accepted - published),
        drain_s=drain_s,
        p99_before_ms=before["p99"] * 1e3,
        p99_frozen_ms=frozen["p99"] * 1e3,
        p99_drain_ms=max(one["p99"] for one in spells) * 1e3,
    )


def _drained(ingress: IngressProcess, load: LoadGenerator, rate: float) -> bool:
    """Whether no more than a tenth of a second's callbacks wait for Kafka, before the load ends."""
    while load.process.poll() is None:
        if ingress.metric("bridge_accepted_total") - _published(ingress) < rate / 10:
            return True
        time.sleep(SAMPLE_S)
    return False


def _published(ingress: IngressProcess) -> float:
    return ingress.metric("bridge_published_total", topic=ingress.topics.events)


class Highest:
    """The highest value of something, looked at now and then."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.max = 0

    def __enter__(self) -> Highest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            self.max = max(self.max, self._read())
