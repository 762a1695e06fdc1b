"""One browser that follows what comes in: what waits for it is bounded, and who reads too slowly is dropped."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from aiohttp import web

from bridge.console.live_filter import LiveFilter

MAX_BEHIND_BYTES = 512 * 1024
"""So much may wait for a browser, besides what the kernel holds."""
KEEP_ALIVE_S = 10.0
RETRY_MS = 1000


class Viewer:
    """What waits for one browser.

    Args:
        chosen: what it wants to see.
        cut_off: ends its connection, for a message that it does not read is waited for as long as that lasts.
    """

    def __init__(self, chosen: LiveFilter, *, cut_off: Callable[[], None] = lambda: None) -> None:
        self.chosen = chosen
        self._cut_off = cut_off
        self.is_dropped = False
        self.behind_bytes = 0
        """What waits for it; of what several wait for each counts it whole."""
        self._waiting: deque[bytes] = deque()
        self._changed = asyncio.Event()

    def push(self, message: bytes) -> None:
        """Have a message sent, or drop the viewer, if it is too far behind."""
        if self.behind_bytes + len(message) > MAX_BEHIND_BYTES:
            self.drop()
        if not self.is_dropped:
            self._waiting.append(message)
            self.behind_bytes += len(message)
            self._changed.set()

    def drop(self) -> None:
        """Send nothing more, and forget what waits."""
        self.is_dropped = True
        self._waiting.clear()
        self.behind_bytes = 0
        self._changed.set()
        self._cut_off()

    async def send(self, response: web.StreamResponse, may_look: Callable[[], bool]) -> None:
        """Send what comes until the viewer is dropped, is gone, or may not look any more, as its session has ended.

        Raises:
            OSError: it is gone.
        """
        await response.write(b"retry: %d\n\n" % RETRY_MS)
        while not self.is_dropped and may_look():
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    await self._changed.wait()
            except TimeoutError:
                await response.write(b": still here\n\n")
                continue
            self._changed.clear()
            while self._waiting and may_look():
                message = self._waiting.popleft()
                self.behind_bytes -= len(message)
                await response.write(message)


def sse(event: str, data: bytes) -> bytes:
    """A message of server-sent events.

    Args:
        event: its kind.
        data: JSON without ends of lines.
    """
    return b"event: %s\ndata: %s\n\n" % (event.encode(), data)
