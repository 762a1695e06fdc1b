"""The garbage collector of processes that hold thousands of living objects at any time."""

from __future__ import annotations

import gc

_THRESHOLDS = (50_000, 20, 50)
"""Allocations before a young generation is searched, and how many such searches before the older two are."""


def tune_garbage_collector() -> None:
    """Search rarely, and never what exists now: call it once all that lives as long as the process is made.

    Requests in flight and the events of a batch are no garbage: with the thresholds of Python the collector would walk
    through all of them again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
