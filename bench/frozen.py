"""What becomes of callbacks while the broker does not answer."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench import rows
from bench.kafkas import Kafka
from bench.load.generator import LoadGenerator
from bench.rows import ServerRow

FROZEN_S = 10.0
CALLBACKS_PER_S = 300.0
PLATFORM_WAITS_S = 2.0


class Frozen(msgspec.Struct):
    """Callbacks of the time in which the broker was frozen."""

    sent: int
    unanswered: int
    """Without a good answer within the 2 s that the platform waits."""
    p50_ms: float
    p99_ms: float
    """Of all, with 2 s or more for those that had no answer."""

    @property
    def share(self) -> float:
        """Which part was lost."""
        return self.unanswered / self.sent


def freeze(row: ServerRow, folder: Path, kafka: Kafka) -> Frozen:
    """Send callbacks while the broker is frozen for 10 s."""
    server = rows.start(row, folder, kafka)
    try:
        LoadGenerator(server.port, "saturate", 16, 1.0).result()
        kafka.freeze()
        # The generator waits 2 s for the last.
        load = LoadGenerator(server.port, "open", CALLBACKS_PER_S, FROZEN_S - PLATFORM_WAITS_S)
        result = load.result()
    finally:
        server.process.close()
        kafka.thaw()
        # A node that slept long has its sessions to sort out, at the next row's cost.
        kafka.restart()
    unanswered = result["scheduled"] - result["in_time"]
    return Frozen(result["scheduled"], unanswered, result["p50"] * 1e3, result["p99"] * 1e3)
