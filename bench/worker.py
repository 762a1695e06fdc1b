"""`python -m bench.worker`: what an event costs the badges worker, from a full topic into Redis and `im.badges`.

Beside it, for the same events: a plain loop over aiokafka, and a subscriber of FastStream where that is installed. Each
is a process on one core; broker and Redis run on the others. Counted is the CPU time of the worker's process between
two commits, which other programs on the machine disturb less than the rate.

How two members of a group compare with one is measured with a quarter of a core for each of them: see `bench.quarter`.
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import orjson
import typer
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from rich.console import Console
from rich.table import Table

from bench.cores import OTHERS, SERVER, cpu_seconds, pinned
from bench.quarter import quarter
from tests.support.badge_model import READ, RECALLED, SENT, badge_event
from tests.support.broker import Broker
from tests.support.process import Process
from tests.support.redis import RedisServer
from tests.support.topic import create_topic
from tests.support.waiting import wait_until

PARTITIONS = 6
QUARTERS_S = 4.0
IDLE_S = 10.0
"""Without a commit: all is handled. The plain loop commits each thousand events, which Redis takes one by one."""
MEMBERS = (1, 2, 4)
NO_COORDINATOR_YET = {
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
}
ROOT = Path(__file__).parents[1]
OURS = "consumers run badges"


class WorkerRow(NamedTuple):
    """A worker to measure."""

    name: str
    command: list[str]
    path: str = str(ROOT)


class TopicRecord(NamedTuple):
    """A record of the topic."""

    key: bytes
    value: bytes


class WorkerMeasurement(NamedTuple):
    """What came of it."""

    events: int
    seconds: float
    cpu: float


def main(
    *,
    events: Annotated[int, typer.Option(help="How many are on the topic.")] = 200_000,
    accounts: Annotated[int, typer.Option(help="Of how many users.")] = 20_000,
    rounds: Annotated[int, typer.Option(help="How often each worker is measured, in turns.")] = 3,
    seconds: Annotated[float, typer.Option(help="The longest that one is measured.")] = 10.0,
    beside: Annotated[Path | None, typer.Option(help="A checkout of another version, to measure too.")] = None,
) -> None:
    """Measure and print."""
    console = Console(width=140)
    rows = [WorkerRow(OURS, ["-c", "from consumers.cli import main; main()", "run", "badges"])]
    if beside is not None:
        rows.append(WorkerRow(f"{OURS}, {beside.name}", rows[0].command, str(beside)))
    rows.append(WorkerRow("plain aiokafka loop", ["-m", "bench.workers.plain"]))
    if importlib.util.find_spec("faststream") is None:
        console.print("FastStream is not installed and so not measured: pip install -r bench/requirements.txt")
    else:
        rows.append(WorkerRow("FastStream subscriber", ["-m", "bench.workers.faststream_app"]))
    found: dict[str, list[WorkerMeasurement]] = {row.name: [] for row in rows}
    with tempfile.TemporaryDirectory(prefix="im-bridge-bench-") as name:
        folder = Path(name)
        with pinned(OTHERS), Broker(folder / "kafka") as broker, RedisServer(folder / "redis") as redis:
            topic = f"events.{uuid.uuid4().hex[:8]}"
            create_topic(broker.bootstrap, topic, partitions=PARTITIONS)
            made = make(events, accounts)
            fill(broker.bootstrap, topic, made)
            for _ in range(rounds):
                for row in rows:
                    found[row.name].append(measure(folder, row, broker, redis, topic, seconds))
                    last = found[row.name][-1]
                    console.print(f"{row.name}: {last.cpu / last.events * 1e6:.1f} us, {last.events} events")
            scaling: dict[int, list[float]] = {members: [] for members in MEMBERS}
            for _ in range(rounds):
                for members in MEMBERS:
                    scaling[members].append(quarters(folder, rows[0], broker, redis, made, members))
                    console.print(f"{members} x a quarter of a core: {scaling[members][-1]:,.0f} events/s")
    show(found, console)
    for members in MEMBERS:
        ratios = [many / one for one, many in zip(scaling[1], scaling[members], strict=True)]
        console.print(f"{members} members with a quarter each: {statistics.median(ratios):.2f} x what one does")


def make(events: int, accounts: int) -> list[TopicRecord]:
    """Events as the bridge writes them, of 600 bytes about."""
    pick = random.Random(1)
    made = []
    for number in range(events):
        account = f"user-{pick.randrange(accounts)}"
        event = badge_event(
            f"{pick.getrandbits(128):032x}",
            account,
            pick.randrange(50),
            time=1_790_000_000_000 + number - 300,
            received=1_790_000_000_000 + number,
            kind=pick.choice([RECALLED, SENT, READ]),
            from_account="somebody-else",
            msg_key=f"{number}_{pick.getrandbits(32)}_1790000000",
        )
        made.append(TopicRecord(account.encode(), orjson.dumps(event)))
    return made


def fill(bootstrap: str, topic: str, made: Sequence[TopicRecord]) -> None:
    """Write them."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000, "log_level": 0}
    )
    for event in made:
        producer.produce(topic, event.value, event.key)
    assert not producer.flush(60)


def measure(  # noqa: PLR0917
    folder: Path, row: WorkerRow, broker: Broker, redis: RedisServer, topic: str, seconds: float
) -> WorkerMeasurement:
    """One run of one worker, with a group and a topic of badges of its own."""
    run = new_run(broker)
    commits = Commits(broker.bootstrap, topic, run)
    commits.wait_answered()
    process = start(folder, row, broker, redis, topic, run)
    try:
        return observe(process, commits, seconds)
    finally:
        process.close()


def quarters(  # noqa: PLR0917
    folder: Path, row: WorkerRow, broker: Broker, redis: RedisServer, made: Sequence[TopicRecord], members: int
) -> float:
    """Events per second of so many members of a group, each with a quarter of a core."""
    run = new_run(broker)
    topic = f"events.{run}"
    create_topic(broker.bootstrap, topic, partitions=PARTITIONS)
    processes = [start(folder, row, broker, redis, topic, run, member) for member in range(members)]
    commits = Commits(broker.bootstrap, topic, run)
    try:
        # They share the partitions before there is anything to do.
        processes[0].wait_for(
            partial(share_partitions, processes), timeout=60, what="a share of the partitions for each"
        )
        fill(broker.bootstrap, topic, made)
        with quarter([process.pid for process in processes]):
            time.sleep(1)
            first, began = commits.count(), time.monotonic()
            time.sleep(QUARTERS_S)
            return (commits.count() - first) / (time.monotonic() - began)
    finally:
        commits.close()
        for process in processes:
            process.close()


def share_partitions(processes: Sequence[Process]) -> bool:
    """Whether the workers were last assigned all partitions together, each as many as the others or one less."""
    assigned = [re.findall(r"partitions of \S+: ([\d, ]+|none)", process.log.read_text()) for process in processes]
    shares = [len(re.findall(r"\d+", texts[-1])) if texts else 0 for texts in assigned]
    return sum(shares) == PARTITIONS and max(shares) - min(shares) <= 1


def new_run(broker: Broker) -> str:
    """The name of a group, whose topic of badges is made."""
    run = uuid.uuid4().hex[:8]
    create_topic(broker.bootstrap, f"badges.{run}", partitions=PARTITIONS, config={"cleanup.policy": "compact"})
    return run


def start(  # noqa: PLR0917
    folder: Path,
    row: WorkerRow,
    broker: Broker,
    redis: RedisServer,
    topic: str,
    run: str,
    member: int = 0,
    *,
    program: str = sys.executable,
    more: Mapping[str, str] | None = None,
) -> Process:
    """A worker of that group on one core, run by `program` with `more` environment."""
    env = {
        "PYTHONPATH": os.pathsep.join([row.path, *sys.path]),
        "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "CONSUMERS_TOPIC": topic,
        "CONSUMERS_BADGES_TOPIC": f"badges.{run}",
        "CONSUMERS_DLQ_TOPIC": f"dlq.{run}",
        "CONSUMERS_GROUP": run,
        "CONSUMERS_REDIS_URL": redis.url,
        "CONSUMERS_ADMIN_PORT": "0",
        **(more or {}),
    }
    with pinned(SERVER):
        return Process([program, *row.command], log=folder / f"{run}.{member}.log", env=env).start()


class Commits:
    """What a group has committed of a topic."""

    def __init__(self, bootstrap: str, topic: str, group: str) -> None:
        self._client = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
        self._partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]

    def count(self) -> int:
        """Events, of all partitions."""
        return sum(max(0, one.offset) for one in self._client.committed(self._partitions, timeout=10))

    def wait_answered(self) -> None:
        """Wait until Kafka says: its first answer takes so long that a worker may have handled all by then.

        Nor is the coordinator of a group there at once where the broker has just started.
        """

        def is_answered() -> bool:
            try:
                self.count()
            except KafkaException as error:
                if error.args[0].code() not in NO_COORDINATOR_YET:
                    raise
                return False
            return True

        wait_until(is_answered, timeout=30, what="the coordinator of the group")

    def close(self) -> None:
        """Disconnect."""
        self._client.close()


def observe(process: Process, commits: Commits, seconds: float) -> WorkerMeasurement:
    """Events and CPU time between the first commit that is seen and the last."""
    first: tuple[int, float, float] | None = None
    last = (0, 0.0, 0.0)
    deadline = time.monotonic() + seconds + 30
    while time.monotonic() < deadline:
        now = (commits.count(), time.monotonic(), cpu_seconds(process.group()))
        if now[0] > 0 and first is None:
            first = now
        if now[0] > last[0]:
            last = now
        if first is not None and (now[1] - first[1] > seconds or now[1] - last[1] > IDLE_S):
            break
        assert process.running, process.tail()
        time.sleep(0.05)
    commits.close()
    assert first is not None and last[0] > first[0], f"too few events to measure: {last[0]} at once\n{process.tail()}"  # noqa: PT018
    return WorkerMeasurement(last[0] - first[0], last[1] - first[1], last[2] - first[2])


def show(found: Mapping[str, list[WorkerMeasurement]], console: Console) -> None:
    """The table: medians, and ratios to ours."""
    table = Table("worker", "CPU per event, us", "events/s and core", "events/s here", "cost, ours = 1")
    costs = {name: statistics.median(one.cpu / one.events for one in runs) for name, runs in found.items()}
    for name, runs in found.items():
        rate = statistics.median(one.events / one.seconds for one in runs)
        cost = costs[name]
        table.add_row(name, f"{cost * 1e6:.1f}", f"{1 / cost:,.0f}", f"{rate:,.0f}", f"{cost / costs[OURS]:.2f}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
