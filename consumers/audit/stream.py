"""What is known of the records of one topic that a process took in one life."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from operator import xor
from typing import Literal

import msgspec

from consumers.audit.ranges import NumberRange, common, count, union, without
from consumers.audit.seen_numbers import Gap, SeenNumbers

Mark = Literal["set_aside", "never_durable", "forgotten", "unproven", "expired", "before"]
"""Why numbers that are not on the topic are no loss, or cannot be called one; the first that fits counts.

`set_aside`: Kafka refused them, they are in quarantine. `never_durable`: nobody was told that they were taken.
`forgotten`: an operator has given up the process. `unproven`: what a power cut left of its books does not tell.
`expired`: retention took them before they were read. `before`: they are from before the audit began.
"""
MARKS: tuple[Mark, ...] = ("set_aside", "never_durable", "forgotten", "unproven", "expired", "before")
SAID_MARKS: tuple[Mark, ...] = ("set_aside", "never_durable", "forgotten", "unproven")
"""Those that follow from what is said, and not from where a gap is."""
GapKind = Literal[Mark, "missing"]

ExplainGap = Callable[[Gap], tuple[Mark, int] | None]
"""Why so many of the first numbers of a gap, which should not be there, are no loss; None: all of it is one."""

MAX_FOLDED = 200
MAX_DIGESTED = 2_000_000
"""So many numbers are put into a digest, in some seconds."""
_WORD = (1 << 64) - 1
MAX_COUNT = 2**63 - 1
"""What has room in a checkpoint; only numbers that are made up come so far."""


class FoldedGaps(msgspec.Struct):
    """Gaps of a stream that has too many to keep each: how many numbers they are, and where."""

    kind: GapKind
    first: int
    last: int
    missing: int
    """How many of the numbers from `first` to `last`."""
    after_ms: int | None
    before_ms: int | None


class SummedGaps(msgspec.Struct):
    """Gaps of which nothing is decided, and of which only the sum is kept, since there are too many.

    The digest tells whether all came: each number that is not there is in it, and each that comes is taken out. Only
    where some come twice it does not come out even, and nothing is known.
    """

    first: int
    last: int
    missing: int
    """How many of the numbers from `first` to `last` were not there when this was made."""
    digest: int
    """0 when the very same have come; -1 where they were too many to be put into it."""
    after_ms: int | None
    before_ms: int | None
    came: int = 0
    """How many have come since, some perhaps twice."""

    def come(self, number: int) -> None:
        """Note that one has come."""
        self.came += 1
        if self.digest >= 0:
            self.digest ^= _mixed(number)

    def lacks(self, numbers: Sequence[NumberRange]) -> bool:
        """Whether exactly these have not come, and all others have, each once."""
        lacking = self.missing - self.came
        return self.digest >= 0 and lacking == count(numbers) and self.digest == _digest(numbers)


class StreamCount(msgspec.Struct, kw_only=True):
    """Of the numbers of a stream, or of several."""

    acknowledged: int = 0
    """All but those that nobody was told were taken, and those from before the audit: the sum of the next seven."""
    arrived: int = 0
    missing: int = 0
    waiting: int = 0
    """Not there, and it cannot be said yet whether they are to be."""
    unproven: int = 0
    expired: int = 0
    set_aside: int = 0
    forgotten: int = 0
    duplicates: int = 0
    """How often a number came again."""
    never_durable: int = 0
    before: int = 0

    def add(self, other: StreamCount) -> None:
        """Add the numbers of another one."""
        for name in self.__struct_fields__:
            setattr(self, name, min(getattr(self, name) + getattr(other, name), MAX_COUNT))


class NumberedStream(msgspec.Struct):
    """Which numbers arrived, and what is said of those that did not."""

    seen: SeenNumbers = msgspec.field(default_factory=SeenNumbers)
    judged_through: int = 0
    """Of all numbers up to it that are not there it is decided why."""
    arrived: int = 0
    duplicates: int = 0
    marks: dict[Mark, list[NumberRange]] = {}
    folded: list[FoldedGaps] = []
    summed: list[SummedGaps] = []

    def add(self, number: int, time_ms: int) -> bool:
        """Note a record that is on the topic; whether its number is new."""
        is_new = self.seen.add(number, time_ms)
        if not is_new and self.summed:
            is_new = self._came_of_sum(number)
        if is_new:
            self.arrived += 1
        else:
            self.duplicates += 1
        return is_new

    def mark(self, mark: Mark, ranges: list[NumberRange]) -> None:
        """Say why these numbers are no loss, where they are not there."""
        if ranges:
            self.marks[mark] = union(self.marks.get(mark, ()), ranges)

    def begin_behind(self, number: int) -> None:
        """Ask for no number up to this one, where it is not there."""
        if number > self.judged_through:
            self.mark("before", [(self.judged_through + 1, number)])
            self.judged_through = number

    def judge(self, through: int, explain: ExplainGap) -> None:
        """Decide of all numbers up to one, which must be there by now, why those are not that are not."""
        gaps = list(self.seen.gaps(self.judged_through + 1, through))
        said = union(*(self.marks.get(mark, ()) for mark in SAID_MARKS))
        for gap in _parts(gaps, without(map(_range, gaps), said)):
            if (explained := explain(gap)) is not None:
                mark, explained_count = explained
                self.mark(mark, [(gap.first, gap.first + explained_count - 1)])
        self.judged_through = max(self.judged_through, through)
        self._judge_summed()

    @property
    def asked_from(self) -> int:
        """The first number that was asked for: above those from before the audit."""
        before = self.marks.get("before", ())
        return before[-1][1] + 1 if before else 1

    def gaps(self, kind: GapKind) -> Iterator[Gap]:
        """The numbers of which it was decided that they are not there for this reason."""
        gaps = list(self.seen.gaps(1, self.judged_through))
        marked, rest = self._told_apart(map(_range, gaps), MARKS)
        return _parts(gaps, rest if kind == "missing" else marked[kind])

    def open_gaps(self, given: int, *, but: Sequence[NumberRange] = ()) -> list[Gap]:
        """The numbers up to one that are not there, and of which it cannot be said yet whether they are to be.

        Args:
            given: the last number that the process says it has given.
            but: numbers that are left out.
        """
        gaps = list(self.seen.gaps(self.judged_through + 1, given))
        _, rest = self._told_apart(map(_range, gaps), SAID_MARKS)
        return list(_parts(gaps, without(rest, but)))

    def decided(self) -> list[NumberRange]:
        """The numbers of which it is known whether they are there, of those that were asked for."""
        judged = [(self.asked_from, self.judged_through)] if self.asked_from <= self.judged_through else []
        return union(judged, zip(self.seen.firsts, self.seen.lasts, strict=True))

    def count(self, given: int) -> StreamCount:
        """How many numbers there are of each kind.

        Args:
            given: the last number that the process says it has given.
        """
        marked, rest = self._told_apart(map(_range, self.seen.gaps(1, max(given, self.judged_through))), MARKS)
        counts: dict[str, int] = {mark: count(ranges) for mark, ranges in marked.items()}
        counts["missing"] = count(common(rest, [(1, self.judged_through)]))
        counts["waiting"] = count(rest) - counts["missing"]
        for one in self.folded:
            counts[one.kind] += one.missing
        counts["waiting"] += sum(max(0, one.missing - one.came) for one in self.summed)
        not_there = sum(counts.values()) - counts["before"] - counts["never_durable"]
        return StreamCount(
            acknowledged=self.arrived + not_there, arrived=self.arrived, duplicates=self.duplicates, **counts
        )

    def fold(self, *, leave: int) -> None:
        """Give up where exactly the older gaps are, so that only some intervals are left; not how many they are.

        Only those of which all is decided: a stream with more than these stays as it is.
        """
        through = min(self.judged_through, self.seen.lasts[-leave - 1] if len(self.seen) > leave else 0)
        if through <= 0:
            return
        kinds: tuple[GapKind, ...] = (*MARKS, "missing")
        for kind in kinds:
            found = [gap for gap in self.gaps(kind) if gap.first <= through]
            if found:
                last = min(found[-1].last, through)
                missing = sum(min(gap.last, through) - gap.first + 1 for gap in found)
                folded = FoldedGaps(kind, found[0].first, last, missing, found[0].after_ms, found[-1].before_ms)
                self.folded.append(folded)
        self.seen.fill(through)
        while len(self.folded) > MAX_FOLDED:
            self._join_folded()

    def sum_up(self, given: int, *, leave: int) -> None:
        """Keep no more than so many intervals, of whatever kind; some more where numbers are far ahead.

        The older gaps of which nothing is decided are kept as a sum. What is seen far above the last number that was
        given is forgotten, and is not called missing when the process comes there: nobody counts with such gaps.

        Args:
            given: the last number that the process says it has given.
            leave: how many intervals.
        """
        self._forget_ahead(given, leave=leave // 2)
        if len(self.seen) <= leave:
            return
        self.fold(leave=leave)
        first, through = self.judged_through + 1, self.seen.lasts[-leave - 1] if len(self.seen) > leave else 0
        gaps = list(self.seen.gaps(first, through))
        if gaps:
            missing = sum(gap.size for gap in gaps)
            digest = _digest(map(_range, gaps)) if missing <= MAX_DIGESTED else -1
            times = gaps[0].after_ms, gaps[-1].before_ms
            self.summed.append(SummedGaps(gaps[0].first, gaps[-1].last, missing, digest, *times))
            self.seen.fill(through)

    def _forget_ahead(self, given: int, *, leave: int) -> None:
        seen = self.seen
        at = bisect_right(seen.firsts, given) + leave
        if at < len(seen):
            self.mark("unproven", [(seen.firsts[at], seen.lasts[-1])])
            self.arrived -= count(zip(seen.firsts[at:], seen.lasts[at:], strict=True))
            seen.cut(at)

    def _came_of_sum(self, number: int) -> bool:
        for one in self.summed:
            if one.first <= number <= one.last:
                one.come(number)
                return one.came <= one.missing
        return False

    def _judge_summed(self) -> None:
        for one in [one for one in self.summed if one.last <= self.judged_through]:
            self.summed.remove(one)
            self.folded += [
                FoldedGaps(kind, one.first, one.last, number, one.after_ms, one.before_ms)
                for kind, number in self._left_of(one).items()
                if number
            ]

    def _left_of(self, one: SummedGaps) -> dict[Mark, int]:
        """How many of a sum have not come, by why they need not; those that cannot be told are no more arrived."""
        if one.lacks([]):
            return {}
        marked, unmarked = self._told_apart([(one.first, one.last)], SAID_MARKS)
        if one.lacks(union(*marked.values())):
            return {mark: count(ranges) for mark, ranges in marked.items()}
        if not unmarked:
            return {max(marked, key=lambda mark: count(marked[mark])): max(0, one.missing - one.came)}
        self.arrived -= min(one.came, one.missing)
        return {"unproven": one.missing}

    def _told_apart(
        self, numbers: Iterable[NumberRange], marks: Iterable[Mark]
    ) -> tuple[dict[Mark, list[NumberRange]], list[NumberRange]]:
        """Which of some numbers have which of these marks, each under the first that fits; and the rest."""
        rest, marked = list(numbers), {}
        for mark in marks:
            ranges = self.marks.get(mark, ())
            marked[mark] = list(common(rest, ranges))
            rest = list(without(rest, ranges))
        return marked, rest

    def _join_folded(self) -> None:
        """Join the oldest with the next of its kind."""
        older = self.folded.pop(0)
        newer = next((one for one in self.folded if one.kind == older.kind), None)
        if newer is None:
            self.folded.append(older)
            return
        newer.first, newer.after_ms = older.first, older.after_ms
        newer.missing += older.missing


def _digest(ranges: Iterable[NumberRange]) -> int:
    return reduce(xor, (_mixed(number) for first, last in ranges for number in range(first, last + 1)), 0)


def _mixed(number: int) -> int:
    """A number as 64 bits that look random: the last step of https://prng.di.unimi.it/splitmix64.c."""
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB & _WORD
    return (number ^ (number >> 31)) >> 1


def _range(gap: Gap) -> NumberRange:
    return gap.first, gap.last


def _parts(gaps: Sequence[Gap], ranges: Iterable[NumberRange]) -> Iterator[Gap]:
    """Those parts of gaps, ascending, that these ranges are, each with the times of its gap."""
    at = 0
    for first, last in ranges:
        while gaps[at].last < first:
            at += 1
        yield Gap(first, last, gaps[at].after_ms, gaps[at].before_ms)
