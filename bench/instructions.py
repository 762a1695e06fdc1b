"""Instructions per callback, by callgrind: a figure that other programs on the machine do not change.

A server runs some fifty times slower there. So its clock goes slower as well (`slow_clock.c`), and callbacks come in
rounds that do not depend on how long it takes (`bench.load.lockstep`). Counted is the program, libraries included. What
the kernel does for it is in no figure here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.cores import pinned
from bench.kafkas import RealKafka, real_kafka
from bench.load.lockstep import connections, send_round
from bench.rows import Running, ServerRow
from bench.toolchains import BuildError, slow_clock

CONNECTIONS = (64, 256)
WARM_UP_CALLBACKS = 512
MEASURED_CALLBACKS = 2_048
VALGRIND = (
    "valgrind",
    "--tool=callgrind",
    "--trace-children=yes",
    "--instr-atstart=no",
    "--collect-jumps=no",
    "--separate-threads=no",
)


class Instructions(msgspec.Struct):
    """Of a server with so many callbacks at a time."""

    per_callback: float
    profile: Path
    """callgrind's own file, for `callgrind_annotate`."""


def count(rows: Sequence[ServerRow], folder: Path) -> dict[str, dict[int, Instructions]]:
    """Row → number of connections → instructions. Raises BuildError where a program is missing."""
    if shutil.which("valgrind") is None:
        raise BuildError("`valgrind` cannot be found: install it (Debian: apt install valgrind)")
    with real_kafka(folder) as kafka:
        return {row.name: _count(row, folder, kafka) for row in rows}


def _count(row: ServerRow, folder: Path, kafka: RealKafka) -> dict[int, Instructions]:
    out = folder / f"callgrind.{len(list(folder.iterdir()))}"
    with pinned(set(row.cores)):
        under = ("env", "PYTHONHASHSEED=0", f"LD_PRELOAD={slow_clock()}", *VALGRIND, f"--callgrind-out-file={out}.%p")
        server = row.start(folder, kafka, under)
    try:
        return {number: _measure(server, number, out) for number in CONNECTIONS}
    finally:
        server.process.close()


def _measure(server: Running, number: int, out: Path) -> Instructions:
    rounds = MEASURED_CALLBACKS // number
    with connections(server.port, number) as opened:
        for _ in range(WARM_UP_CALLBACKS // number):
            send_round(server.process, opened)
        _control(server, "--instr=on")
        for _ in range(rounds):
            send_round(server.process, opened)
        _control(server, "--instr=off")
    before = set(out.parent.glob(f"{out.name}.{server.pid}.*"))
    _control(server, "--dump")
    (profile,) = set(out.parent.glob(f"{out.name}.{server.pid}.*")) - before
    return Instructions(_total(profile) / (rounds * number), profile)


def _control(server: Running, *arguments: str) -> None:
    subprocess.run(["callgrind_control", *arguments, str(server.pid)], check=True, capture_output=True)


def _total(path: Path) -> int:
    return sum(int(total) for total in re.findall(r"^totals: (\d+)", path.read_text(errors="replace"), re.MULTILINE))
