"""How much of the disk a process may use, and uses."""

from __future__ import annotations


class DiskBudget:
    """Bytes that wait for Kafka on disk, and how many may.

    Args:
        max_bytes: the budget.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.stored_bytes = 0
        """What the journal's files hold that Kafka has not confirmed."""
        self.elsewhere_bytes = 0
        """What is beside the journal's files, and counts: a quarantine beyond its own budget."""

    @property
    def has_room(self) -> bool:
        """Whether it is not used up."""
        return self.stored_bytes + self.elsewhere_bytes < self.max_bytes

    @property
    def fraction_used(self) -> float:
        """How much of it is used: 0.0 is nothing, 1.0 all."""
        return (self.stored_bytes + self.elsewhere_bytes) / self.max_bytes
