"""Imported by Python itself, before anything else of a process."""

from __future__ import annotations

import os
from collections import deque
from typing import Any

LOSES = "TEST_LOSES"
"""The environment variable with what the values of the records have in them that are lost."""


class _LossyBuilder:
    """Puts nothing of consequence in the place of a record that is to be lost, so that all else goes its way."""

    def __init__(self, builder: Any, mark: bytes) -> None:
        self._builder = builder
        self._mark = mark

    def append(self, offset: int, timestamp_ms: int, key: bytes, value: bytes, headers: Any) -> Any:
        if self._mark in value:
            value, headers = b"{}", []
        return self._builder.append(offset, timestamp_ms, key, value, headers)


def _break(mark: bytes) -> None:
    from bridge.publish.produce import batch

    fill = batch.fill

    def lossy_fill(builder: Any, queue: deque[Any], **limits: int) -> Any:
        return fill(_LossyBuilder(builder, mark), queue, **limits)

    batch.fill = lossy_fill


if LOSES in os.environ:
    _break(os.environ[LOSES].encode())
