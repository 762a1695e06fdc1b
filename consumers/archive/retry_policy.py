"""How long trouble is waited for."""

from __future__ import annotations

from typing import NamedTuple

from common.retry import Backoff


class RetryPolicy(NamedTuple):
    """How often in a row something is tried, and the waits between: they double."""

    attempts: int
    first_wait_s: float = 0.5
    max_wait_s: float = 30.0

    def waits(self) -> Backoff:
        """The waits, from the first on."""
        return Backoff(first_s=self.first_wait_s, max_s=self.max_wait_s)
