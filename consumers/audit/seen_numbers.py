"""The numbers that were seen of one life and topic, as merged intervals with the times of their ends."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple

import msgspec


class Gap(NamedTuple):
    """Numbers that were not seen, between some that were."""

    first: int
    last: int
    after_ms: int | None
    """When the record before it was received, Unix milliseconds; None where it has none."""
    before_ms: int | None
    """When the record behind it was received; None where it has none."""

    @property
    def size(self) -> int:
        """How many numbers they are."""
        return self.last - self.first + 1


class SeenNumbers(msgspec.Struct):
    """A set of positive numbers; it takes memory for each interval, not for each number.

    Four lists side by side, for a list of objects costs several times as much memory.
    """

    firsts: list[int] = []
    lasts: list[int] = []
    first_ms: list[int] = []
    """Of each interval, when the record of its first number was received."""
    last_ms: list[int] = []

    def add(self, number: int, time_ms: int) -> bool:
        """Note a number, and when its record was received. Whether it is new."""
        lasts = self.lasts
        if lasts and number == lasts[-1] + 1:  # as mostly
            lasts[-1] = number
            self.last_ms[-1] = time_ms
            return True
        at = bisect_right(self.firsts, number)
        if at and number <= lasts[at - 1]:
            return False
        follows = at > 0 and number == lasts[at - 1] + 1
        precedes = at < len(lasts) and number == self.firsts[at] - 1
        if follows and precedes:
            lasts[at - 1], self.last_ms[at - 1] = lasts.pop(at), self.last_ms.pop(at)
            del self.firsts[at], self.first_ms[at]
        elif follows:
            lasts[at - 1], self.last_ms[at - 1] = number, time_ms
        elif precedes:
            self.firsts[at], self.first_ms[at] = number, time_ms
        else:
            for values, value in zip(self._columns, (number, number, time_ms, time_ms), strict=True):
                values.insert(at, value)
        return True

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self.firsts, number)
        return at > 0 and number <= self.lasts[at - 1]

    def __len__(self) -> int:
        """How many intervals there are."""
        return len(self.firsts)

    @property
    def last(self) -> int:
        """The highest number; 0 where there is none."""
        return self.lasts[-1] if self.lasts else 0

    def gaps(self, first: int, last: int) -> Iterator[Gap]:
        """What was not seen of the numbers from `first` to `last`, ascending."""
        at = bisect_right(self.firsts, first)
        start, after_ms = first, None
        if at:
            start, after_ms = max(first, self.lasts[at - 1] + 1), self.last_ms[at - 1]
        while start <= last:
            is_end = at == len(self.firsts)
            end = last if is_end else min(last, self.firsts[at] - 1)
            if start <= end:
                yield Gap(start, end, after_ms, None if is_end else self.first_ms[at])
            if is_end:
                return
            start, after_ms = self.lasts[at] + 1, self.last_ms[at]
            at += 1

    def fill(self, through: int) -> None:
        """Take all numbers up to one for seen."""
        at = bisect_right(self.firsts, through)
        begin_ms = self.first_ms[0] if self.first_ms else 0
        end, end_ms = (max(through, self.lasts[at - 1]), self.last_ms[at - 1]) if at else (through, begin_ms)
        for values, value in zip(self._columns, (1, end, begin_ms, end_ms), strict=True):
            values[:at] = [value]

    def cut(self, at: int) -> None:
        """Forget the intervals from that place on."""
        for values in self._columns:
            del values[at:]

    @property
    def _columns(self) -> tuple[list[int], list[int], list[int], list[int]]:
        return self.firsts, self.lasts, self.first_ms, self.last_ms
