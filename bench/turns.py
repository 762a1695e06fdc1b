"""CPU per callback in short turns: what else the machine does hits every server alike, and cancels in the ratio."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import rows
from bench.kafkas import Kafka
from bench.measure import CONNECTIONS, LoadGenerator, Saturation, saturate
from bench.rows import FLOOR, ROWS
from bench.run import ratio

WARM_UP_S = 3.0


def take_turns(
    folder: Path, kafka: Kafka, *, rounds: int, seconds: float, only: Sequence[str], say: Callable[[str], None]
) -> dict[str, dict[int, list[Saturation]]]:
    """Row → connections → its turns. All servers run at once, on one core; those whose turn it is not are idle."""
    chosen = [row for row in ROWS if row.is_plain and (row.name == FLOOR or row.is_named(only))]
    found: dict[str, dict[int, list[Saturation]]] = {row.name: {number: [] for number in CONNECTIONS} for row in chosen}
    with ExitStack() as stack:
        servers = {}
        for row in chosen:
            server = servers[row.name] = rows.start(row, folder, kafka)
            stack.callback(server.process.close)
            LoadGenerator(server.port, "saturate", 64, WARM_UP_S).result()
        for number in range(1, rounds + 1):
            for connections in CONNECTIONS:
                for name, server in servers.items():
                    found[name][connections].append(saturate(server, connections, seconds))
            say(f"round {number}  " + ", ".join(f"{name}: {_ratios(found, name)}" for name in servers if name != FLOOR))
    return found


def relative(found: dict[str, dict[int, list[Saturation]]], name: str, connections: int) -> float:
    """CPU per callback of a row relative to the floor."""
    return ratio(found[name][connections], found[FLOOR][connections])


def _ratios(found: dict[str, dict[int, list[Saturation]]], name: str) -> str:
    return " / ".join(f"{relative(found, name, connections):.2f}" for connections in CONNECTIONS)
