"""A long run at a steady rate, the broker restarted now and then: does anything grow?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from bench.cores import OTHERS, pinned
from bench.kafkas import real_kafka
from bench.load.generator import LoadGenerator
from bench.resident import Resident, resident
from bench.rows import PARTITIONS, start_ingress
from tests.support.audit_judge import AuditProcess, wait_for_audit_of
from tests.support.broker import Broker
from tests.support.commands import IngressProcess
from tests.support.topic import Topics, create_topic

SAMPLE_S = 2.0
AWAY_S = 10.0
DRAIN_TIMEOUT_S = 60.0
AUDIT_READY_S, AUDIT_TIMEOUT_S = 30.0, 30.0
MEGABYTE = 1e6
DRAINED_BYTES = 100_000
"""What the journal may hold of callbacks that have just come, when a backlog has drained."""
SETTLE_S = 6.0
"""Afterwards: until what the backlog took has been given back."""
FLAT_WITHIN_BYTES = 5e6
"""What memory after the last drains may be above that after the first: Python's own arenas do not fill up evenly."""
REPLACE_BYTES = 64 * 1024 * 1024
"""An empty journal file that has held more is replaced."""
# The topic is only counted, so the disk need not hold an hour of it.
SMALL_TOPIC = {"retention.bytes": "16000000", "segment.bytes": "8000000"}


class SoakSample(msgspec.Struct):
    """The ingress at a time."""

    at: float
    """Seconds since the load began."""
    memory: Resident
    files: int
    """Open file descriptors but for the connections of callbacks, of which the load decides."""
    threads: int
    held_bytes: float
    """What the journal holds for Kafka."""
    journals: dict[str, int]
    """Files of the journal and their write-ahead logs: name → bytes."""
    free_bytes: int
    """What is free inside the journals, as of their last checkpoint."""
    kafka_away: bool

    @property
    def log_bytes(self) -> int:
        """Of all write-ahead logs."""
        return sum(size for name, size in self.journals.items() if name.endswith("-wal"))

    @property
    def disk_bytes(self) -> int:
        """What the journals take."""
        return sum(self.journals.values())


class Soaked(msgspec.Struct):
    """The outcome."""

    rate: float
    minutes: float
    every: float
    restarts: int
    samples: list[SoakSample]
    load: dict[str, Any]
    published: int
    """Records on the topic, repeated ones too: whether each one is there that should be, the audit says."""
    drained: bool
    unproven: list[str]
    """Why the audit does not say that all is there."""
    problems: list[str]

    @property
    def memory_after_drains(self) -> list[float]:
        """Resident bytes after each outage, when its backlog had drained: the median until the next."""
        return [statistics.median(one.memory.total for one in spell) for spell in spells_after_drains(self.samples)]

    @property
    def memory_verdict(self) -> str:
        """Whether it grows, for people."""
        after = self.memory_after_drains
        listed = ", ".join(f"{one / MEGABYTE:.0f}" for one in after)
        if len(after) < 2:
            return "memory is not judged, with fewer than two drains: give it more --minutes, or a smaller --every"
        return f"memory after each drain: {listed} MB; {'flat' if growth(after) <= FLAT_WITHIN_BYTES else 'not flat'}"


def soak(folder: Path, *, minutes: float, rate: float, every: float, say: Callable[[str], None]) -> Soaked:
    """Run, and say what is wrong."""
    topics = Topics.unique()
    with real_kafka(folder) as kafka:
        broker = kafka.broker
        create_topic(broker.bootstrap, topics.events, partitions=PARTITIONS, config=SMALL_TOPIC)
        create_topic(broker.bootstrap, topics.dlq, partitions=1)
        ingress = start_ingress(folder, broker.bootstrap, topics)
        audit = AuditProcess(folder, broker.bootstrap, topics)
        try:
            with pinned(OTHERS):
                audit.start_ready(AUDIT_READY_S)
            soaked = _run(ingress, broker, minutes=minutes, rate=rate, every=every, say=say)
            soaked.published = _count(broker.bootstrap, topics.events)
            soaked.unproven = wait_for_audit_of(broker.bootstrap, topics, timeout=AUDIT_TIMEOUT_S).complaints
        finally:
            audit.close()
            ingress.close()
    soaked.problems = problems(soaked)
    return soaked


def _run(
    ingress: IngressProcess,
    broker: Broker,
    *,
    minutes: float,
    rate: float,
    every: float,
    say: Callable[[str], None],
) -> Soaked:
    load = LoadGenerator(ingress.port, "open", rate, minutes * 60)
    began = time.monotonic()
    samples: list[SoakSample] = []
    restarts, due, stopped_at = 0, every, 0.0
    while load.process.poll() is None:
        now = time.monotonic() - began
        if broker.running and now > due and _is_settled(samples) and now + AWAY_S < minutes * 60:
            say(f"{now:7.0f} s  the broker is stopped for {AWAY_S:.0f} s")
            broker.stop()
            stopped_at, due = now, max(due + every, now)
        elif not broker.running and now > stopped_at + AWAY_S:
            broker.start()
            restarts += 1
        samples.append(_sample(ingress, now, kafka_away=not broker.running))
        time.sleep(SAMPLE_S)
    if not broker.running:
        broker.start()
    drained = _drained(ingress, samples, began)
    return Soaked(rate, minutes, every, restarts, samples, load.result(), 0, drained, [], [])


def _is_settled(samples: Sequence[SoakSample]) -> bool:
    """Whether what the outage before has left is gone for so long that memory can be judged."""
    spells = spells_after_drains(samples)
    last = samples[-1] if samples else None
    was_away = any(sample.kafka_away for sample in samples)
    return last is not None and not last.kafka_away and (not was_away or bool(spells and spells[-1][-1] is last))


def _sample(ingress: IngressProcess, at: float, *, kafka_away: bool) -> SoakSample:
    process = Path(f"/proc/{ingress.server_pid}")
    journals = sorted(ingress.journal_dir.glob("*.journal*"))
    return SoakSample(
        at=at,
        memory=resident(ingress.server_pid),
        files=len(list((process / "fd").iterdir())) - _connections(ingress.port),
        threads=len(list((process / "task").iterdir())),
        held_bytes=ingress.metric("bridge_journal_bytes"),
        journals={path.name: size for path in journals if (size := _size(path)) is not None},
        free_bytes=sum(_free_bytes(path) for path in journals if path.suffix == ".journal"),
        kafka_away=kafka_away,
    )


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # It was drained, and is removed.
        return None


def _free_bytes(path: Path) -> int:
    """Of the header of an SQLite file, which it is in nobody's way to read: https://sqlite.org/fileformat.html."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return 0
    page_bytes, free_pages = int.from_bytes(header[16:18]), int.from_bytes(header[36:40])
    return free_pages * page_bytes


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


def spells_after_drains(samples: Sequence[SoakSample]) -> list[list[SoakSample]]:
    """The samples after each outage, from a moment after its backlog has drained until the next begins."""
    spells: list[list[SoakSample]] = []
    was_away, settled_at = False, 0.0
    for sample in samples:
        if sample.kafka_away:
            was_away = True
        elif was_away and sample.held_bytes <= DRAINED_BYTES:
            was_away, settled_at = False, sample.at + SETTLE_S
            spells.append([])
        elif not was_away and spells and sample.at >= settled_at:
            spells[-1].append(sample)
    return [spell for spell in spells if spell]


def growth(values: Sequence[float]) -> float:
    """By how much the last third is above the first, by their medians."""
    third = max(1, len(values) // 3)
    return statistics.median(values[-third:]) - statistics.median(values[:third])


def problems(soaked: Soaked) -> list[str]:
    """What is not as promised, one line each."""
    found = []
    after = soaked.memory_after_drains
    if len(after) >= 2 and growth(after) > FLAT_WITHIN_BYTES:
        found.append(soaked.memory_verdict)
    calm = [sample for sample in soaked.samples if not sample.kafka_away]
    files = growth([sample.files for sample in calm])
    if files > 8:
        found.append(f"open files grew by {files:.0f}")
    threads = growth([sample.threads for sample in calm])
    if threads > 1:
        found.append(f"threads grew by {threads:.0f}")
    journals = growth([len(sample.journals) for sample in calm])
    if journals > 0:
        found.append(f"files of the journal grew by {journals:.0f}")
    logs = growth([sample.log_bytes for sample in calm])
    if logs > 8 * MEGABYTE:
        found.append(f"write-ahead logs grew by {logs / MEGABYTE:.0f} MB")
    drained = [sample.disk_bytes for spell in spells_after_drains(soaked.samples) for sample in spell]
    if drained and max(drained) > 2 * REPLACE_BYTES:
        found.append(f"journals that had drained took {max(drained) / MEGABYTE:.0f} MB")
    if not soaked.drained:
        found.append("the journal did not become empty")
    acknowledged = soaked.load["replies"] - soaked.load["refused"]
    if soaked.published < acknowledged:
        found.append(f"{acknowledged:,} were acknowledged, and {soaked.published:,} are on the topic")
    found += [f"the audit: {one}" for one in soaked.unproven]
    if unanswered := soaked.load["scheduled"] - soaked.load["in_time"]:
        found.append(f"{unanswered:,} of {soaked.load['scheduled']:,} callbacks had no good answer within 2 s")
    return found


def chart(soaked: Soaked, path: Path) -> None:
    """Memory, files, threads and journal over time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    samples = soaked.samples
    at = [sample.at / 60 for sample in samples]
    series = (
        ("RSS, MB", [sample.memory.total / MEGABYTE for sample in samples]),
        ("open files, threads", [float(sample.files) for sample in samples]),
        ("journal holds, MB", [sample.held_bytes / MEGABYTE for sample in samples]),
    )
    figure, axes = pyplot.subplots(len(series), 1, figsize=(10, 6), sharex=True)
    for axis, (name, values) in zip(axes, series, strict=True):
        axis.plot(at, values, color="#2a6f97", linewidth=1)
        axis.set(ylabel=name, ylim=(0, None))
    axes[0].plot(at, [sample.memory.heap / MEGABYTE for sample in samples], label="heap", color="#bc4749", linewidth=1)
    axes[0].plot(
        at,
        [sample.memory.anonymous / MEGABYTE for sample in samples],
        label="other own memory",
        color="#f4a261",
        linewidth=1,
    )
    axes[0].legend(loc="lower right", fontsize="small")
    axes[1].plot(at, [sample.threads for sample in samples], linewidth=1)
    axes[-1].set(xlabel="minutes")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
