"""What tells a parent that its child is not hung, and a child that its parent is gone: one socket pair.

The child sends a byte from its event loop in every interval. The end of the stream tells it that the parent is gone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time

INTERVAL_S = 1.0


async def send_heartbeats(parent: socket.socket) -> None:
    """Show the parent that the event loop runs. When the parent is gone, shut this process down gracefully."""
    parent.setblocking(False)
    while True:
        try:
            parent.send(b".")
        except BlockingIOError:
            pass  # The parent is slow to listen; it lives.
        except OSError:
            os.kill(os.getpid(), signal.SIGTERM)
            return
        await asyncio.sleep(INTERVAL_S)


class HeartbeatMonitor:
    """The parent's end. `child` is what the child has the other end of."""

    def __init__(self, child: socket.socket) -> None:
        child.setblocking(False)
        self._child = child
        self._last_beat = time.monotonic()

    def silence_s(self) -> float:
        """Seconds since the child was last heard of."""
        try:
            if self._child.recv(4096):
                self._last_beat = time.monotonic()
        except (BlockingIOError, ConnectionError):
            pass
        return time.monotonic() - self._last_beat
