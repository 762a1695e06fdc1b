"""Work that would hold up the event loop, done in a thread step by step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

Item = TypeVar("Item")


async def in_thread(iterator: Iterator[Item]) -> AsyncIterator[Item]:
    """The items of an iterator, each made in a thread. Cancelled, it ends when the step that runs has ended."""
    end = object()
    while (item := await asyncio.to_thread(next, iterator, end)) is not end:
        yield item  # type: ignore[misc]
