"""CPU per callback in short turns: what else the machine does hits every server alike, and cancels in the ratio."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import rows
from bench.kafkas import Kafka
from bench.measure import CONNECTIONS, Load, Saturation, saturate
from bench.rows import FLOOR, ROWS, Row

WARM_UP_S = 3.0


def take_turns(
    folder: Path, kafka: Kafka, *, rounds: int, seconds: float, only: Sequence[str], say: Callable[[str], None]
) -> dict[str, dict[int, list[Saturation]]]:
    """Row → connections → its turns. All servers run at once, on one core; those whose turn it is not are idle."""
    chosen = [row for row in ROWS if _takes_part(row) and (row.name == FLOOR or _is_chosen(row, only))]
    found: dict[str, dict[int, list[Saturation]]] = {row.name: {number: [] for number in CONNECTIONS} for row in chosen}
    with ExitStack() as stack:
        servers = {row.name: rows.start(row, folder, kafka) for row in chosen}
        for server in servers.values():
            stack.callback(server.process.close)
        for server in servers.values():
            Load(server.port, "saturate", 64, WARM_UP_S).result()
        for number in range(1, rounds + 1):
            for connections in CONNECTIONS:
                for name, server in servers.items():
                    found[name][connections].append(saturate(server, connections, seconds))
            say(f"round {number}  " + ", ".join(f"{name}: {_ratios(found, name)}" for name in servers if name != FLOOR))
    return found


def ratio(found: dict[str, dict[int, list[Saturation]]], name: str, connections: int) -> float:
    """CPU per callback relative to the floor: the median over rounds."""
    pairs = zip(found[name][connections], found[FLOOR][connections], strict=True)
    return statistics.median(one.cpu_us / floor.cpu_us for one, floor in pairs)


def _ratios(found: dict[str, dict[int, list[Saturation]]], name: str) -> str:
    return " / ".join(f"{ratio(found, name, connections):.2f}" for connections in CONNECTIONS)


def _takes_part(row: Row) -> bool:
    return not row.frozen and row.name != rows.TWO_PROCESSES


def _is_chosen(row: Row, only: Sequence[str]) -> bool:
    return not only or any(name in row.name for name in only)
