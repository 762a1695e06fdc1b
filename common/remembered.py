"""What was made of something lately, for what is asked with every callback or event."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Remembered(dict[K, V]):
    """Values by what they are made of: `remembered[key]` is `make(key)`, made once.

    Does what `functools.lru_cache` does, for three fifths of the instructions. When it is full it forgets all: it is
    for what has few keys, nearly always, or is made quickly.

    Args:
        make: makes a value of a key.
        most: so many are remembered.
    """

    def __init__(self, make: Callable[[K], V], *, most: int) -> None:
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, key: K) -> V:
        """Make what is asked for the first time."""
        value = self._make(key)
        if len(self) >= self._most:
            self.clear()
        self[key] = value
        return value
