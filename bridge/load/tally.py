"""What became of the callbacks of a load, and how long the replies took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal, TypeVar

import msgspec

STEP_S = 0.0001
"""Times are counted in tenths of a millisecond, so memory stays the same however long a load lasts."""

CallbackOutcome = Literal["acknowledged", "refused as it had to be", "busy", "refused", "no reply", "not connected"]
"""`busy` is a 503; `refused` any other reply that is not the right one; `no reply`: not within the 2 seconds of the
platform, or the connection broke."""
EXPECTED: tuple[CallbackOutcome, ...] = ("acknowledged", "refused as it had to be")

Key = TypeVar("Key", int, str)


class Tally(msgspec.Struct):
    """Counts, of one process or of many, of a second or of all of them."""

    due: int = 0
    """Callbacks whose time had come."""
    outcomes: dict[str, int] = msgspec.field(default_factory=dict)
    """`CallbackOutcome` → callbacks."""
    steps: dict[int, int] = msgspec.field(default_factory=dict)
    """Reply time, from when the callback was due, in steps → callbacks. No reply counts as one of 2 seconds."""
    late_steps: dict[int, int] = msgspec.field(default_factory=dict)
    """How much later than due they left, in steps → callbacks. That is our fault, and no one else's."""
    surprises: dict[str, int] = msgspec.field(default_factory=dict)
    """What came in place of the right reply, in words → callbacks."""

    def add(self, other: Tally) -> None:
        """Count in what another one has counted."""
        self.due += other.due
        _add(self.outcomes, other.outcomes)
        _add(self.steps, other.steps)
        _add(self.late_steps, other.late_steps)
        _add(self.surprises, other.surprises)

    def note(self, outcome: CallbackOutcome, *, seconds: float, late_s: float, surprise: str = "") -> None:
        """Count a callback: what became of it, how long its reply took, how late it left."""
        _add(self.outcomes, {str(outcome): 1})
        _add(self.steps, {round(seconds / STEP_S): 1})
        _add(self.late_steps, {round(late_s / STEP_S): 1})
        if surprise:
            _add(self.surprises, {surprise: 1})

    @property
    def answered(self) -> int:
        """Callbacks of which it is known what became of them."""
        return sum(self.outcomes.values())

    @property
    def is_as_expected(self) -> bool:
        """Whether each callback got the reply that it had to get."""
        return self.answered == self.due and not any(self.outcomes.keys() - set(EXPECTED))


def most_common(counts: Mapping[str, int], kinds: int) -> list[tuple[str, int]]:
    """What was counted most, and how often, at most so many of them."""
    return Counter(counts).most_common(kinds)


def percentile(steps: Mapping[int, int], share: float) -> float | None:
    """The time in seconds that a share (0 to 1) of the callbacks did not exceed; None: there are none."""
    wanted = share * sum(steps.values())
    seen = 0
    for step in sorted(steps):
        seen += steps[step]
        if seen >= wanted:
            return step * STEP_S
    return None


def _add(counts: dict[Key, int], more: Mapping[Key, int]) -> None:
    for key, number in more.items():
        counts[key] = counts.get(key, 0) + number
