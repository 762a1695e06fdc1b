"""What a process of the ingress says of itself: how Kafka is, what waits for it and since when, how much room is left.

There is one snapshot of it (`bridge.process.status_watch`), from which the command `bridge status`, the log and the
admin pages are made. Its types are those of the JSON that a process answers with at STATUS_PATH.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from bridge.ingress.refusals import RefusalCount

STATUS_PATH = "/status"
"""Of the page with a `StatusReport`."""


class KafkaStatus(msgspec.Struct):
    """How Kafka is, for events."""

    state: Literal["confirming", "slow", "away"]
    """`slow`: connected, and nothing was confirmed for a second; `away`: not connected."""
    since: str
    """Since when it confirms, or does not, RFC 3339."""
    since_s: float
    problem: str
    """Why it does not confirm, for people; empty while it does."""
    servers: str
    other_topics: dict[str, str]
    """Topic → why it cannot be written to; without the one of events, and those that can."""


class WaitingStatus(msgspec.Struct):
    """What waits for Kafka."""

    events: int
    bytes: int
    oldest: str | None
    """When the oldest was received, RFC 3339; None where nothing waits."""
    oldest_s: float
    events_per_s: float | None
    """Growth, negative while it drains; None where it was not watched for long enough. 0 while Kafka confirms and
    nothing has waited for long."""
    bytes_per_s: float | None
    full_at: str | None
    """When there is no room any more, if it goes on like this; None: it does not grow."""
    full_in_s: float | None
    drained_at: str | None
    """When all is in Kafka, if it goes on like this; None: it does not drain."""
    drained_in_s: float | None


class DiskStatus(msgspec.Struct):
    """The journal's disk."""

    folder: str
    ok: bool
    """Whether it takes callbacks."""
    problem: str
    """Why not, for people."""
    journal_bytes: int
    """What the journal holds for Kafka."""
    max_bytes: int
    """BRIDGE_JOURNAL_MAX_BYTES."""
    room_bytes: int
    """What may be added: by the budget and by what is free on the disk, whichever is less."""
    free_bytes: int | None
    """Of the disk, None where it did not tell in time."""
    journals: list[str]
    """Names of the files in the folder that it has open: its own, and those of dead processes that it publishes."""
    quarantine_files: int
    quarantine_bytes: int

    @property
    def is_budget_used(self) -> bool:
        """Whether it is the budget that has no room, not the disk."""
        return not self.ok and not self.room_bytes and self.free_bytes != 0


class ProcessStatus(msgspec.Struct):
    """One process of an ingress."""

    process: str
    """Its number among several, as in logs and metrics; empty where it is the only one."""
    pid: int
    host: str
    version: str
    started: str
    """RFC 3339."""
    state: Literal["starting", "serving", "stopping"]
    ready: bool
    kafka: KafkaStatus
    waiting: WaitingStatus
    disk: DiskStatus
    refusals: list[RefusalCount]
    """Of each reason the last refusal, the latest first."""
    life: str = ""
    """`<process>/<epoch>`, as `consumers audit` names it; empty without an audit."""


class StatusReport(msgspec.Struct):
    """The processes of an ingress that answered."""

    processes: list[ProcessStatus]
    silent: int = 0
    """Processes that run and did not answer."""
