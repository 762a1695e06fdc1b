"""What differed from the documentation, as processes tell it on their admin port, and as it is summed."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.metadata import version

import msgspec

OTHER = "other"
"""Stands for commands or fields of which there are too many to be told apart."""
DRIFT_PATH = "/drift"
"""Of the page of the admin port with a `DriftReport`."""


_version = cache(version)


class Difference(msgspec.Struct):
    """One kind of difference between callbacks and their documentation. It holds nothing that a user wrote."""

    kind: str
    """`unknown_command`, `unknown_field`, `missing_field`, `type` or `command` (body and URL disagree)."""
    command: str
    field: str
    """The platform's names from the top; empty where it is about the whole body, `other` for many together."""
    count: int
    first: str
    """When it was seen first, RFC 3339."""
    last: str
    shape: str
    """Names and types of an example; empty where there is nothing to show."""

    @property
    def place(self) -> tuple[str, str, str]:
        """What tells it from others."""
        return self.kind, self.command, self.field


class DriftReport(msgspec.Struct):
    """What differed in the callbacks of some processes."""

    differences: list[Difference]
    """The most frequent first."""
    since: list[str]
    """For each process that was asked and told it: when it began to count, RFC 3339, the earliest first."""
    version: str = msgspec.field(default_factory=lambda: _version("im-bridge"))
    """Of im-bridge, which knows what is documented."""
    silent: int = 0
    """Processes that run and did not answer."""


def merged(reports: Iterable[DriftReport], *, silent: int = 0) -> DriftReport:
    """The sum of what several processes tell.

    Args:
        reports: theirs.
        silent: how many did not answer.
    """
    found: dict[tuple[str, str, str], Difference] = {}
    since: list[str] = []
    versions: dict[str, None] = {}
    for report in reports:
        since += report.since
        silent += report.silent
        versions[report.version] = None
        for one in report.differences:
            known = found.get(one.place)
            found[one.place] = one if known is None else _sum(known, one)
    report = DriftReport(by_frequency(found.values()), sorted(since), silent=silent)
    if versions:
        report.version = ", ".join(versions)
    return report


def by_frequency(differences: Iterable[Difference]) -> list[Difference]:
    """The most frequent first."""
    return sorted(differences, key=lambda one: (-one.count, one.place))


def _sum(one: Difference, other: Difference) -> Difference:
    # Times of one form sort as texts.
    latest = max(one, other, key=lambda difference: difference.last)
    return Difference(
        *one.place, one.count + other.count, min(one.first, other.first), latest.last, latest.shape or one.shape
    )
