"""How much a journal may hold, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.settings import BridgeSettings


@dataclass(frozen=True, kw_only=True)
class JournalLimits:
    """How much a journal may hold, and for how long. Sizes in bytes, times in seconds."""

    max_bytes: int
    """Disk budget."""
    memory_max_bytes: int
    """What may be neither on disk nor in Kafka."""
    read_ahead_bytes: int
    """How much of a topic's backlog may be in memory, twice: waiting, and leased."""
    gather_s: float
    """How long records gather."""
    sync_after_s: float
    """How long Kafka has to confirm before a group is synced."""
    reply_deadline_s: float
    """When `append` resolves with False."""
    adopt_interval_s: float
    """Between two looks for journals that nobody owns."""

    @classmethod
    def from_settings(cls, settings: BridgeSettings) -> JournalLimits:
        """The limits that the settings name."""
        return cls(
            max_bytes=settings.journal_max_bytes,
            memory_max_bytes=settings.memory_max_bytes,
            read_ahead_bytes=settings.read_ahead_bytes,
            gather_s=settings.gather_ms / 1000,
            sync_after_s=settings.sync_after_ms / 1000,
            reply_deadline_s=settings.reply_deadline_ms / 1000,
            adopt_interval_s=settings.adopt_interval_s,
        )
