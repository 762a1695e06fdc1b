"""A long run at a steady rate, the broker restarted now and then: does anything grow?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from bench.kafkas import real_kafka
from bench.load.generator import LoadGenerator
from bench.rows import PARTITIONS, start_ingress
from tests.support.broker import Broker
from tests.support.commands import IngressProcess
from tests.support.topic import Topics, create_topic

SAMPLE_S = 2.0
AWAY_S = 10.0
DRAIN_TIMEOUT_S = 60.0
MEGABYTE = 1e6
# The topic is only counted, so the disk need not hold an hour of it.
SMALL_TOPIC = {"retention.bytes": "16000000", "segment.bytes": "8000000"}


class SoakSample(msgspec.Struct):
    """The ingress at a time."""

    at: float
    """Seconds since the load began."""
    rss_bytes: int
    files: int
    """Open file descriptors but for the connections of callbacks, of which the load decides."""
    held_bytes: float
    """What the journal holds for Kafka."""
    disk_bytes: int
    """What its files take."""
    kafka_away: bool


class Soaked(msgspec.Struct):
    """The outcome."""

    rate: float
    minutes: float
    restarts: int
    samples: list[SoakSample]
    load: dict[str, Any]
    published: int
    """Records on the topic, repeated ones too: whether each acknowledged one is there is for `make torture` to say."""
    drained: bool
    problems: list[str]


def soak(folder: Path, *, minutes: float, rate: float, restart_every: float, say: Callable[[str], None]) -> Soaked:
    """Run, and say what is wrong."""
    topics = Topics.unique()
    with real_kafka(folder) as kafka:
        broker = kafka.broker
        create_topic(broker.bootstrap, topics.events, partitions=PARTITIONS, config=SMALL_TOPIC)
        create_topic(broker.bootstrap, topics.dlq, partitions=1)
        ingress = start_ingress(folder, broker.bootstrap, topics)
        try:
            soaked = _run(ingress, broker, minutes=minutes, rate=rate, restart_every=restart_every, say=say)
            soaked.published = _count(broker.bootstrap, topics.events)
        finally:
            ingress.close()
    soaked.problems = problems(soaked)
    return soaked


def _run(
    ingress: IngressProcess,
    broker: Broker,
    *,
    minutes: float,
    rate: float,
    restart_every: float,
    say: Callable[[str], None],
) -> Soaked:
    load = LoadGenerator(ingress.port, "open", rate, minutes * 60)
    began = time.monotonic()
    samples: list[SoakSample] = []
    restarts, due = 0, restart_every
    while load.process.poll() is None:
        now = time.monotonic() - began
        if now > due and broker.running and now + AWAY_S < minutes * 60:
            say(f"{now:7.0f} s  the broker is stopped for {AWAY_S:.0f} s")
            broker.stop()
        elif now > due + AWAY_S and not broker.running:
            broker.start()
            restarts, due = restarts + 1, due + restart_every
        samples.append(_sample(ingress, now, kafka_away=not broker.running))
        time.sleep(SAMPLE_S)
    if not broker.running:
        broker.start()
    drained = _drained(ingress, samples, began)
    return Soaked(rate, minutes, restarts, samples, load.result(), 0, drained, [])


def _sample(ingress: IngressProcess, at: float, *, kafka_away: bool) -> SoakSample:
    files = len(list(Path(f"/proc/{ingress.pid}/fd").iterdir())) - _connections(ingress.port)
    disk = sum(path.stat().st_size for path in ingress.journal_dir.glob("*.journal*"))
    return SoakSample(at, ingress.rss_bytes, files, ingress.metric("bridge_journal_bytes"), disk, kafka_away)


def _connections(port: int) -> int:
    """Connections that are established to a port of this machine."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def _drained(ingress: IngressProcess, samples: list[SoakSample], began: float) -> bool:
    """Whether the journal becomes empty when the load is over."""
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    while time.monotonic() < deadline:
        samples.append(_sample(ingress, time.monotonic() - began, kafka_away=False))
        if samples[-1].held_bytes == 0:
            return True
        time.sleep(0.2)
    return False


def _count(bootstrap: str, topic: str) -> int:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "soak", "log_level": 0})
    try:
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, number))[1] for number in range(PARTITIONS)]
    finally:
        consumer.close()
    return sum(ends)


def problems(soaked: Soaked) -> list[str]:
    """What is not as promised, one line each."""
    found = []
    calm = [sample for sample in soaked.samples if not sample.kafka_away]
    # The first quarter is for warming up: caches fill, the largest outage so far sets the size of the heap.
    early, late = calm[len(calm) // 4 : len(calm) // 2], calm[len(calm) * 3 // 4 :]
    memory = [statistics.median(sample.rss_bytes for sample in part) for part in (early, late)]
    if memory[1] > memory[0] * 1.1 + 8 * MEGABYTE:
        found.append(f"memory grew from {memory[0] / MEGABYTE:.0f} to {memory[1] / MEGABYTE:.0f} MB")
    files = [statistics.median(sample.files for sample in part) for part in (early, late)]
    if files[1] > files[0] + 8:
        found.append(f"open files grew from {files[0]:.0f} to {files[1]:.0f}")
    if not soaked.drained:
        found.append("the journal did not become empty")
    acknowledged = soaked.load["replies"] - soaked.load["refused"]
    if soaked.published < acknowledged:
        found.append(f"{acknowledged:,} were acknowledged, and {soaked.published:,} are on the topic")
    if unanswered := soaked.load["scheduled"] - soaked.load["in_time"]:
        found.append(f"{unanswered:,} of {soaked.load['scheduled']:,} callbacks had no good answer within 2 s")
    return found


def chart(soaked: Soaked, path: Path) -> None:
    """Memory, files and journal over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    at = [sample.at / 60 for sample in soaked.samples]
    series = (
        ("RSS, MB", [sample.rss_bytes / MEGABYTE for sample in soaked.samples]),
        ("open files", [float(sample.files) for sample in soaked.samples]),
        ("journal holds, MB", [sample.held_bytes / MEGABYTE for sample in soaked.samples]),
    )
    figure, axes = pyplot.subplots(len(series), 1, figsize=(10, 6), sharex=True)
    for axis, (name, values) in zip(axes, series, strict=True):
        axis.plot(at, values, color="#2a6f97", linewidth=1)
        axis.set(ylabel=name, ylim=(0, None))
    axes[-1].set(xlabel="minutes")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
