"""What is known of the records of one topic that a process took in one life."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
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

    def add(self, number: int, time_ms: int) -> bool:
        """Note a record that is on the topic; whether its number is new."""
        is_new = self.seen.add(number, time_ms)
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

    @property
    def asked_from(self) -> int:
        """The first number that was asked for: above those from before the audit."""
        before = self.marks.get("before", ())
        return before[-1][1] + 1 if before else 1

    def gaps(self, kind: GapKind) -> Iterator[Gap]:
        """The numbers of which it was decided that they are not there for this reason."""
        gaps = list(self.seen.gaps(1, self.judged_through))
        rest = list(map(_range, gaps))
        for mark in MARKS:
            marked = self.marks.get(mark, ())
            if mark == kind:
                return _parts(gaps, common(rest, marked))
            rest = list(without(rest, marked))
        return _parts(gaps, rest)

    def count(self, given: int) -> StreamCount:
        """How many numbers there are of each kind.

        Args:
            given: the last number that the process says it has given.
        """
        counts: dict[str, int] = {}
        rest = list(map(_range, self.seen.gaps(1, max(given, self.judged_through))))
        for mark in MARKS:
            marked = self.marks.get(mark, ())
            counts[mark] = count(common(rest, marked))
            rest = list(without(rest, marked))
        counts["missing"] = count(common(rest, [(1, self.judged_through)]))
        counts["waiting"] = count(rest) - counts["missing"]
        for one in self.folded:
            counts[one.kind] += one.missing
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

    def _join_folded(self) -> None:
        """Join the oldest with the next of its kind."""
        older = self.folded.pop(0)
        newer = next((one for one in self.folded if one.kind == older.kind), None)
        if newer is None:
            self.folded.append(older)
            return
        newer.first, newer.after_ms = older.first, older.after_ms
        newer.missing += older.missing


def _range(gap: Gap) -> NumberRange:
    return gap.first, gap.last


def _parts(gaps: Sequence[Gap], ranges: Iterable[NumberRange]) -> Iterator[Gap]:
    """Those parts of gaps, ascending, that these ranges are, each with the times of its gap."""
    at = 0
    for first, last in ranges:
        while gaps[at].last < first:
            at += 1
        yield Gap(first, last, gaps[at].after_ms, gaps[at].before_ms)
