"""One measurement of one server: what it manages, what that costs, how long replies take."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import orjson

from bench import rows
from bench.cores import OTHERS, cpu_seconds, pinned
from bench.kafkas import Kafka
from bench.quarter import quarter
from bench.rows import ROOT, Running, ServerRow

CONNECTIONS = (64, 256)
QUARTERED_CONNECTIONS = 1000
FROZEN_S = 10.0
FROZEN_CALLBACKS_PER_S = 300.0
FREEZE_TAKES_S = 1.0


class Saturation(msgspec.Struct):
    """As many callbacks as a number of connections gets answered."""

    per_second: float
    cpu_us: float
    """CPU time of the server per callback."""
    busy: float
    """Share of a core that the server used: near 1, else it was not what held the load up."""
    load_busy: float
    """Share of a core that the load generator used."""
    refused: int


class HalfLoad(msgspec.Struct):
    """Replies at half of what it manages, at scheduled times."""

    rate: float
    p50_ms: float
    p99_ms: float
    p99_9_ms: float
    cpu_us: float


class ServerMeasurement(msgspec.Struct):
    """A row in one round."""

    saturation: dict[str, Saturation]
    """By number of connections."""
    half: HalfLoad
    rss_bytes: int


class Frozen(msgspec.Struct):
    """Callbacks of the time in which the broker was frozen."""

    sent: int
    unanswered: int
    """Without a good answer within the 2 s that the platform waits."""

    @property
    def share(self) -> float:
        """Which part was lost."""
        return self.unanswered / self.sent


class LoadGenerator:
    """The load generator, under way in a process of its own."""

    def __init__(self, port: int, kind: str, amount: float, seconds: float) -> None:
        command = [sys.executable, "-m", "bench.load", str(port), kind, str(amount), str(seconds)]
        with pinned(OTHERS):
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)

    def result(self) -> dict[str, Any]:
        """What it has seen, when it is through. Raises CalledProcessError."""
        output, _ = self.process.communicate()
        if self.process.returncode:
            raise subprocess.CalledProcessError(self.process.returncode, self.process.args)
        result = orjson.loads(output)
        assert isinstance(result, dict)
        return result


def _cpu_of(server: Running, load: LoadGenerator) -> tuple[dict[str, Any], float]:
    """What the load has seen, and the CPU seconds of the server meanwhile."""
    pids = server.process.group()
    before = cpu_seconds(pids)
    result = load.result()
    return result, cpu_seconds(pids) - before


def measure(row: ServerRow, folder: Path, kafka: Kafka, seconds: float) -> ServerMeasurement:
    """Start the server of a row, measure it, and end it."""
    server = rows.start(row, folder, kafka)
    try:
        LoadGenerator(server.port, "saturate", 64, min(2.0, seconds)).result()
        if row.frozen:
            kafka.freeze()
            time.sleep(FREEZE_TAKES_S)
        saturation = {str(number): saturate(server, number, seconds) for number in CONNECTIONS}
        half = _half(server, saturation["64"].per_second / 2, seconds)
        return ServerMeasurement(saturation, half, server.process.rss_bytes)
    finally:
        server.process.close()
        if row.frozen:
            _refresh(kafka)


def saturate(server: Running, connections: int, seconds: float) -> Saturation:
    """Callbacks per second and their CPU time, while so many connections send without a pause."""
    result, spent = _cpu_of(server, LoadGenerator(server.port, "saturate", connections, seconds))
    callbacks = result["replies"]
    return Saturation(
        per_second=callbacks / result["seconds"],
        cpu_us=spent / callbacks * 1e6,
        busy=spent / result["seconds"],
        load_busy=result["cpu_seconds"] / result["seconds"],
        refused=result["refused"],
    )


def _half(server: Running, rate: float, seconds: float) -> HalfLoad:
    result, spent = _cpu_of(server, LoadGenerator(server.port, "open", rate, seconds))
    return HalfLoad(
        rate=rate,
        p50_ms=result["p50"] * 1e3,
        p99_ms=result["p99"] * 1e3,
        p99_9_ms=result["p99_9"] * 1e3,
        cpu_us=spent / result["replies"] * 1e6,
    )


def quarters(row: ServerRow, folder: Path, kafka: Kafka, seconds: float) -> float:
    """Callbacks per second at saturation, while each serving process has a quarter of a core."""
    server = rows.start(row, folder, kafka)
    try:
        LoadGenerator(server.port, "saturate", 64, min(2.0, seconds)).result()
        processes = server.process.group()
        with quarter(processes if len(processes) == 1 else [pid for pid in processes if pid != server.process.pid]):
            result = LoadGenerator(server.port, "saturate", QUARTERED_CONNECTIONS, seconds).result()
        return float(result["replies"] / result["seconds"])
    finally:
        server.process.close()


def freeze(row: ServerRow, folder: Path, kafka: Kafka) -> Frozen:
    """How many callbacks that are sent while the broker is frozen for 10 s are not answered in time."""
    server = rows.start(row, folder, kafka)
    try:
        LoadGenerator(server.port, "saturate", 16, 1.0).result()
        kafka.freeze()
        # It waits 2 s for the last.
        result = LoadGenerator(server.port, "open", FROZEN_CALLBACKS_PER_S, FROZEN_S - 2.5).result()
        return Frozen(result["scheduled"], result["scheduled"] - result["in_time"])
    finally:
        server.process.close()
        _refresh(kafka)


def _refresh(kafka: Kafka) -> None:
    """End the freeze, and start anew: a node that slept long has its sessions to sort out, at the next row's cost."""
    kafka.thaw()
    kafka.restart()
