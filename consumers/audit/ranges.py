"""Sets of numbers as ascending ranges that do not touch; both ends of a range belong to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

NumberRange = tuple[int, int]


def union(*sets: Iterable[NumberRange]) -> list[NumberRange]:
    """All numbers of these sets; the ranges given may overlap, and come in any order."""
    merged: list[NumberRange] = []
    for first, last in sorted(one for ranges in sets for one in ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return merged


def common(some: Iterable[NumberRange], others: Sequence[NumberRange]) -> Iterator[NumberRange]:
    """The numbers that two sets have in common."""
    place = 0
    for first, last in some:
        while place < len(others) and others[place][1] < first:
            place += 1
        at = place
        while at < len(others) and others[at][0] <= last:
            yield max(first, others[at][0]), min(last, others[at][1])
            at += 1


def without(some: Iterable[NumberRange], others: Sequence[NumberRange]) -> Iterator[NumberRange]:
    """The numbers of `some` that are not in `others`."""
    place = 0
    for first, last in some:
        start = first
        while place < len(others) and others[place][1] < start:
            place += 1
        at = place
        while at < len(others) and others[at][0] <= last:
            if others[at][0] > start:
                yield start, others[at][0] - 1
            start = others[at][1] + 1
            at += 1
        if start <= last:
            yield start, last


def count(ranges: Iterable[NumberRange]) -> int:
    """How many numbers they are."""
    return sum(last - first + 1 for first, last in ranges)
