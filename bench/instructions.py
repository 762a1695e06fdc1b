"""Instructions per callback under callgrind: a figure that other programs on the machine do not change.

A server runs some fifty times slower there, so the times of the bridge are made as much longer: what gathers in 2 ms
gathers in 100 ms. Of 64 callbacks in flight, 16 come in that time, so the topic has fewer partitions: a batch has as
many records as otherwise. System calls count as nothing, and what the kernel does in them is in no figure here.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path

from bench.cores import pinned
from bench.kafkas import RealKafka, real_kafka
from bench.measure import LoadGenerator
from bench.rows import ROWS, Running, ServerRow

SLOW_MOTION = {
    "BRIDGE_GATHER_MS": "100",
    "BRIDGE_SYNC_AFTER_MS": "1000",
    "BRIDGE_REPLY_DEADLINE_MS": "1900",
    "BRIDGE_HUNG_AFTER_S": "300",
}
PARTITIONS = 3
VALGRIND = ("valgrind", "--tool=callgrind", "--instr-atstart=no", "--collect-jumps=no", "--separate-threads=no")


def count(folder: Path, names: list[str], seconds: float) -> dict[str, float]:
    """Row → instructions per callback."""
    if shutil.which("valgrind") is None:
        raise FileNotFoundError("valgrind is not installed")
    found = {}
    with real_kafka(folder) as kafka:
        kafka.max_partitions = PARTITIONS
        for row in ROWS:
            if row.is_named(names) and row.is_plain:
                found[row.name] = _count(row, folder, kafka, seconds)
    return found


def _count(row: ServerRow, folder: Path, kafka: RealKafka, seconds: float) -> float:
    out = folder / f"callgrind.{len(list(folder.iterdir()))}"
    with pinned(set(row.cores)):
        server = row.start(folder, kafka, (*VALGRIND, f"--callgrind-out-file={out}"), SLOW_MOTION)
    try:
        LoadGenerator(server.port, "saturate", 64, seconds / 2).result()
        _control(server, "-i", "on")
        callbacks = LoadGenerator(server.port, "saturate", 64, seconds).result()["replies"]
        _control(server, "-i", "off")
        _control(server, "-d")
        dumps = [path for path in folder.glob(f"{out.name}*") if _totals(path)]
        return sum(map(_totals, dumps)) / float(callbacks)
    finally:
        server.process.close()


def _control(server: Running, *arguments: str) -> None:
    subprocess.run(["callgrind_control", *arguments, str(server.process.pid)], check=True, capture_output=True)
    time.sleep(0.5)


def _totals(path: Path) -> int:
    return sum(int(total) for total in re.findall(r"^totals: (\d+)", path.read_text(errors="replace"), re.MULTILINE))
