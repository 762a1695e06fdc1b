"""Waits between attempts of something that must succeed in the end."""

from __future__ import annotations

import random
from collections.abc import Iterator


def backoff(*, first: float = 0.2, most: float = 5.0) -> Iterator[float]:
    """Seconds to wait before each next attempt: doubling up to `most`, with jitter against marching in step."""
    step = first
    while True:
        yield step * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
        step = min(step * 2, most)
