"""CPU per callback in short turns, each between two of the floor: what else the machine does hits them all alike, and
cancels in the ratio."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from bench import check, rows
from bench.cores import cpu_seconds
from bench.frozen import Frozen, freeze
from bench.kafkas import Kafka
from bench.load.generator import LoadGenerator
from bench.machine import machine
from bench.neighbours import Neighbours, is_disturbed
from bench.rows import FLOOR, NAIVE, Running, ServerRow

CONNECTIONS = (64, 256)
RATE_PER_S = 1000
WARM_UP_S = 1.5
MAX_DISTURBED = 0.1
"""Share of the turns; with more, a result says nothing that others could repeat."""
ATTEMPTS = 3
"""How often a turn is taken, at most, until others leave it alone."""


class SaturatedTurn(msgspec.Struct):
    """As many callbacks as a number of connections gets answered, for a second or so."""

    per_second: float
    cpu_us: float
    """CPU time of the server per callback: of all threads and children."""
    busy: float
    """Share of a core that the server used: near 1, else it was not what held the load up."""
    load_busy: float
    """Share of a core that the load generator used."""
    refused: int
    others: float
    """Cores that programs used which are not ours."""


class OpenTurn(msgspec.Struct):
    """Replies at a steady rate, timed from when each callback had to leave."""

    p50_ms: float
    p99_ms: float
    p99_9_ms: float
    cpu_us: float
    refused: int
    others: float


class Between(msgspec.Struct):
    """A turn of a row, and those of the floor before and after it."""

    turn: SaturatedTurn
    floors: tuple[SaturatedTurn, SaturatedTurn]

    @property
    def ratio(self) -> float:
        """CPU per callback relative to the floor."""
        return self.turn.cpu_us / statistics.mean(floor.cpu_us for floor in self.floors)

    @property
    def is_disturbed(self) -> bool:
        """Whether others used the machine meanwhile."""
        return any(is_disturbed(turn.others) for turn in (self.turn, *self.floors))


Turn = TypeVar("Turn", SaturatedTurn, OpenTurn)


class RowTurns(msgspec.Struct):
    """All turns of a row."""

    saturated: dict[int, list[Between]]
    """By number of connections."""
    open: list[OpenTurn]
    rss_bytes: int = 0
    """After the last."""
    frozen: Frozen | None = None


class Result(msgspec.Struct):
    """A whole run; what the JSON file holds."""

    machine: dict[str, str]
    broker: str
    rounds: int
    seconds: float
    mix: str
    rows: dict[str, RowTurns]

    @property
    def disturbed(self) -> float:
        """Share of the turns in which others used the machine."""
        marks = [one.is_disturbed for row in self.rows.values() for turns in row.saturated.values() for one in turns]
        marks += [is_disturbed(turn.others) for row in self.rows.values() for turn in row.open]
        return sum(marks) / len(marks)

    @property
    def is_publishable(self) -> bool:
        """Whether few enough turns were disturbed."""
        return self.disturbed <= MAX_DISTURBED


class Plan(NamedTuple):
    """How long, and what."""

    rounds: int
    seconds: float
    open_seconds: float
    mix: str
    only: Sequence[str]


def take_turns(folder: Path, kafka: Kafka, plan: Plan, say: Callable[[str], None]) -> Result:
    """Check that each server does its work, measure them, and freeze the broker under each of them.

    All servers run at once, on one core; those whose turn it is not are idle. Raises CheckError.
    """
    chosen = rows.chosen(plan.only, say)
    found = {row.name: RowTurns({number: [] for number in CONNECTIONS}, []) for row in chosen}
    with ExitStack() as stack:
        servers = {row.name: _start(row, folder, kafka, stack, say) for row in chosen}
        for number in range(plan.rounds):
            # Another one goes first in each round.
            order = [row.name for row in (*chosen[number % len(chosen) :], *chosen[: number % len(chosen)])]
            _take_round(servers, order, found, plan)
            say(f"round {number + 1}  " + ", ".join(f"{name}: {_last(found[name])}" for name in servers))
        for name, server in servers.items():
            found[name].rss_bytes = server.process.rss_bytes
    for row in chosen:
        if row.publishes:
            say(f"broker frozen for 10 s: {row.name}")
            found[row.name].frozen = freeze(row, folder, kafka)
    return Result(machine(), kafka.name, plan.rounds, plan.seconds, plan.mix, found)


def _start(row: ServerRow, folder: Path, kafka: Kafka, stack: ExitStack, say: Callable[[str], None]) -> Running:
    server = rows.start(row, folder, kafka)
    stack.callback(server.process.close)
    if row.publishes:
        check.check(row.name, server, kafka)
    for connections in CONNECTIONS:
        LoadGenerator(server.port, "saturate", connections, WARM_UP_S).result()
    say(f"runs{', and its events are right' if row.publishes else ''}: {row.name}")
    return server


def _take_round(servers: dict[str, Running], order: Sequence[str], found: dict[str, RowTurns], plan: Plan) -> None:
    for connections in CONNECTIONS:
        before = _least_disturbed(partial(saturate, servers[FLOOR], connections, plan))
        for name in order:
            turn = _least_disturbed(partial(saturate, servers[name], connections, plan))
            after = _least_disturbed(partial(saturate, servers[FLOOR], connections, plan))
            found[name].saturated[connections].append(Between(turn, (before, after)))
            before = after
    for name in order:
        found[name].open.append(_least_disturbed(partial(_open, servers[name], plan)))


def _least_disturbed(take: Callable[[], Turn]) -> Turn:
    """A turn in which others did not use the machine, or of some the one in which they used it least."""
    taken: list[Turn] = []
    for _ in range(ATTEMPTS):
        taken.append(take())
        if not is_disturbed(taken[-1].others):
            break
    return min(taken, key=lambda turn: turn.others)


def saturate(server: Running, connections: int, plan: Plan) -> SaturatedTurn:
    """Callbacks per second and their CPU time, while so many connections send without a pause."""
    load = LoadGenerator(server.port, "saturate", connections, plan.seconds, plan.mix)
    result, spent, others = _watched(server, load)
    return SaturatedTurn(
        per_second=result["replies"] / result["seconds"],
        cpu_us=spent / result["replies"] * 1e6,
        busy=spent / result["seconds"],
        load_busy=result["cpu_seconds"] / result["seconds"],
        refused=result["refused"] + result["lost"],
        others=others,
    )


def _open(server: Running, plan: Plan) -> OpenTurn:
    load = LoadGenerator(server.port, "open", RATE_PER_S, plan.open_seconds, plan.mix)
    result, spent, others = _watched(server, load)
    return OpenTurn(
        p50_ms=result["p50"] * 1e3,
        p99_ms=result["p99"] * 1e3,
        p99_9_ms=result["p99_9"] * 1e3,
        cpu_us=spent / max(result["replies"], 1) * 1e6,
        refused=result["scheduled"] - result["in_time"],
        others=others,
    )


def _watched(server: Running, load: LoadGenerator) -> tuple[dict[str, Any], float, float]:
    """What the load has seen, the CPU seconds of the server meanwhile, and the cores that others used."""
    pids = server.process.group()
    neighbours = Neighbours()
    before = cpu_seconds(pids)
    result = load.result()
    return result, cpu_seconds(pids) - before, neighbours.cores()


def ratios(row: RowTurns, connections: int) -> list[float]:
    """CPU per callback relative to the floor, by round."""
    return [one.ratio for one in row.saturated[connections]]


def throughputs(result: Result, name: str, connections: int) -> list[float]:
    """Callbacks per second relative to the naive server's in the same round; empty without that row."""
    naive = result.rows.get(NAIVE)
    if naive is None:
        return []
    pairs = zip(result.rows[name].saturated[connections], naive.saturated[connections], strict=True)
    return [one.turn.per_second / other.turn.per_second for one, other in pairs]


def _last(row: RowTurns) -> str:
    marked = any(turns[-1].is_disturbed for turns in row.saturated.values()) or is_disturbed(row.open[-1].others)
    return " / ".join(f"{ratios(row, number)[-1]:.2f}" for number in CONNECTIONS) + (" (disturbed)" if marked else "")
