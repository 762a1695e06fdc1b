"""How long Kafka has to confirm a group, by how long it took lately."""

from __future__ import annotations

MOST_TIMES = 3
"""So many times what is set, Kafka has at the most."""
DEADLINE_SHARE = 4
"""But no more than one such part of the reply deadline, unless more is set: the disk must have its time too."""
SMOOTHING = 8
"""Among how many groups the last one counts as one."""


class Patience:
    """The time that Kafka has: twice what it took lately, but no less than is set, and not much more.

    Where a few milliseconds are set, and Kafka takes nearly as long, every other group would be written and synced for
    nothing; and each sync makes Kafka's answers later, if it uses the same disk or core.

    Args:
        least_s: seconds that it has in any case.
        reply_deadline_s: after so many seconds nobody waits for it any more.
    """

    def __init__(self, least_s: float, reply_deadline_s: float) -> None:
        self._least_s = least_s
        self._most_s = max(least_s, min(MOST_TIMES * least_s, reply_deadline_s / DEADLINE_SHARE))
        self._lately_s = 0.0
        self.seconds = least_s
        """From the flush of a group."""

    def confirmed_after(self, seconds: float) -> bool:
        """Kafka has confirmed a group so many seconds after its flush. Returns whether that was in time."""
        was_in_time = seconds < self.seconds
        if seconds < self._most_s:  # Else it is an outage: nothing is gained by waiting for it.
            self._lately_s += (seconds - self._lately_s) / SMOOTHING
            self.seconds = min(max(self._least_s, 2 * self._lately_s), self._most_s)
        return was_in_time
