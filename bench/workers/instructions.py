"""`python -m bench.workers.instructions`: instructions per event of the badges worker, by callgrind.

It counts as `bench.instructions` does for the ingress, and other programs on the machine do not change it. Events come
in rounds: the worker is stopped while they are written, so each round is fetched, handled and committed in the same
pieces. Once a thousand are fetched of each partition, as in a backlog; once ten, as where events trickle in.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer
from rich.console import Console

from bench.cores import OTHERS, pinned
from bench.gate import PROGRESS, TOLERANCE
from bench.instructions import VALGRIND
from bench.machine import interpreter
from bench.toolchains import slow_clock
from bench.worker import OURS, PARTITIONS, Commits, TopicRecord, WorkerRow, fill, make, new_run, start
from tests.support.broker import Broker
from tests.support.process import Process
from tests.support.redis import RedisServer
from tests.support.topic import create_topic

STORED = Path(__file__).parent / "instructions.json"
TOLERANCES = {1000: TOLERANCE, 10: 0.15}
"""Events of a partition in a round → how much more fails. A round of ten is mostly what goes on around its events, of
which chance decides: its counts lay within 9 % of each other."""
ACCOUNTS = 20_000
FETCH_WAIT_S = 0.6
"""After that no fetch waits at the broker, which would take the first events of a round for itself."""
ROUND_S = 300.0


class Rounds(NamedTuple):
    """How events come."""

    events: int
    """Of all partitions, in each round."""
    warm_up: int
    measured: int


ROUNDS = {1000: Rounds(1000 * PARTITIONS, 2, 2), 10: Rounds(10 * PARTITIONS, 4, 10)}
"""By the events of a partition in a round."""


class Counted(msgspec.Struct):
    """What the repository says, or was counted here."""

    interpreter: str
    """Another Python has other numbers."""
    per_event: dict[int, int]
    """Instructions, by the events of a partition in a round."""


def main(
    *,
    update: Annotated[bool, typer.Option("--update", help="Store what is counted.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the profiles, for `callgrind_annotate`.")] = None,
) -> None:
    """Count, and compare with what the repository says."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="im-bridge-bench-") as name:
        folder = Path(name)
        profiles = out or folder
        profiles.mkdir(parents=True, exist_ok=True)
        os.environ["IM_BRIDGE_BROKER"] = "jvm"  # A child of ours is bound to its cores.
        with pinned(OTHERS), Broker(folder / "kafka") as broker, RedisServer(folder / "redis") as redis:
            found = Counted(interpreter(), count(folder, broker, redis, profiles))
    if update:
        STORED.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    stored = msgspec.json.decode(STORED.read_bytes(), type=Counted)
    changes = {number: found.per_event[number] / stored.per_event[number] - 1 for number in stored.per_event}
    for number, change in changes.items():
        console.print(f"{number} of each partition: {found.per_event[number]:,} instructions per event, {change:+.1%}")
    if found.interpreter != stored.interpreter:
        console.print(f"The numbers of {STORED.name} are of another Python ({stored.interpreter}).")
    elif too_many := [number for number, change in changes.items() if change > TOLERANCES[number]]:
        raise SystemExit(
            f"bench: with {too_many[0]} of each partition more than {TOLERANCES[too_many[0]]:.0%} above {STORED.name}"
        )
    elif min(changes.values()) < -PROGRESS:
        console.print("That is less than before. Keep it: --update", style="bold green")


def count(folder: Path, broker: Broker, redis: RedisServer, profiles: Path) -> dict[int, int]:
    """Events of a partition in a round → instructions per event."""
    run = new_run(broker)
    topic = f"events.{run}"
    create_topic(broker.bootstrap, topic, partitions=PARTITIONS)
    program = [*VALGRIND[1:], f"--callgrind-out-file={profiles / 'callgrind'}", sys.executable]
    under = {"PYTHONHASHSEED": "0", "LD_PRELOAD": str(slow_clock()), "CONSUMERS_SESSION_TIMEOUT_MS": "1800000"}
    row = WorkerRow(OURS, [*program, "-c", "from consumers.cli import main; main()", "run", "badges"])
    process = start(folder, row, broker, redis, topic, run, program=VALGRIND[0], more=under)
    try:
        process.wait_for(lambda: "partitions of" in process.log.read_text(), timeout=300, what="its partitions")
        commits = Commits(broker.bootstrap, topic, run)
        made = make(sum(one.events * (one.warm_up + one.measured) for one in ROUNDS.values()), ACCOUNTS)
        found = {}
        for number, rounds in ROUNDS.items():
            for at in range(rounds.warm_up + rounds.measured):
                if at == rounds.warm_up:
                    _control(process, "--instr=on")
                _round(process, commits, broker, topic, [made.pop() for _ in range(rounds.events)])
            _control(process, "--instr=off")
            before = set(profiles.glob("callgrind.*"))
            _control(process, f"--dump={number}")
            (profile,) = set(profiles.glob("callgrind.*")) - before
            found[number] = round(_total(profile) / (rounds.events * rounds.measured))
        commits.close()
        return found
    finally:
        process.close()


def _round(process: Process, commits: Commits, broker: Broker, topic: str, events: Sequence[TopicRecord]) -> None:
    target = commits.count() + len(events)
    process.freeze()
    time.sleep(FETCH_WAIT_S)
    fill(broker.bootstrap, topic, events)
    process.thaw()
    process.wait_for(lambda: commits.count() == target, timeout=ROUND_S, what="the commit of a round")


def _control(process: Process, *arguments: str) -> None:
    subprocess.run(["callgrind_control", *arguments, str(process.pid)], check=True, capture_output=True)


def _total(path: Path) -> int:
    return sum(int(total) for total in re.findall(r"^totals: (\d+)", path.read_text(errors="replace"), re.MULTILINE))


if __name__ == "__main__":
    typer.run(main)
