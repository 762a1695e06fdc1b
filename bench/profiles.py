"""Where the CPU time of a server goes: samples of py-spy while a thread holds the interpreter, so no system calls."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from bench import rows
from bench.kafkas import real_kafka
from bench.load.generator import LoadGenerator
from bench.rows import ROWS

SAMPLES_PER_S = 400


def record(folder: Path, name: str, seconds: float) -> list[tuple[list[str], int]]:
    """Stacks (outermost first) and how often each was seen, of the row with that name under saturation."""
    row = next(row for row in ROWS if row.name == name)
    found = folder / "stacks.txt"
    with real_kafka(folder) as kafka:
        server = rows.start(row, folder, kafka)
        try:
            load = LoadGenerator(server.port, "saturate", 64, seconds + 2)
            command = [
                "py-spy",
                "record",
                "-d",
                str(int(seconds)),
                "-r",
                str(SAMPLES_PER_S),
                "-f",
                "raw",
                "--gil",
                "-o",
                str(found),
            ]
            spy = [str(Path(sys.executable).parent / command[0]), *command[1:], "-p", str(server.pid)]
            subprocess.run(spy, check=True, capture_output=True)
            load.result()
        finally:
            server.process.close()
    lines = (line.rpartition(" ") for line in found.read_text().splitlines())
    return [(stack.split(";"), int(count)) for stack, _, count in lines]


def own_time(stacks: list[tuple[list[str], int]]) -> Counter[str]:
    """Samples by the innermost line."""
    counter: Counter[str] = Counter()
    for stack, count in stacks:
        counter[stack[-1]] += count
    return counter


def whole_time(stacks: list[tuple[list[str], int]]) -> Counter[str]:
    """Samples by function, with all that it calls."""
    counter: Counter[str] = Counter()
    for stack, count in stacks:
        for frame in {frame.rpartition(":")[0] for frame in stack}:
            counter[frame] += count
    return counter
