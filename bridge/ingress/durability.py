"""Several records of one callback, and one answer to whether they are durable."""

from __future__ import annotations

from collections.abc import Callable

Resolve = Callable[[bool], None]
"""Called once: whether something became durable in time."""


class AllDurable:
    """Puts together what the journal says of each record: True when all are durable, False as soon as one is not.

    It is what the journal is given as `resolve` of each of them.

    Args:
        records: how many there are.
        resolve: told the outcome, once.
    """

    __slots__ = ("_missing", "_resolve")

    def __init__(self, records: int, resolve: Resolve) -> None:
        self._missing = records
        self._resolve: Resolve | None = resolve

    def __call__(self, durable: bool) -> None:
        """One of them is durable, or is not in time."""
        self._missing -= 1
        if self._resolve is not None and (not durable or self._missing == 0):
            resolve, self._resolve = self._resolve, None
            resolve(durable)

    def forget(self) -> None:
        """Tell nothing any more."""
        self._resolve = None


__all__ = ["AllDurable", "Resolve"]
