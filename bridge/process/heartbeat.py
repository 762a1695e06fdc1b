"""What tells a parent that its child is not hung, and a child that its parent is gone: one socket pair.

The child sends a byte from its event loop in every interval, which says whether it accepts callbacks by now. The end of
the stream tells it that the parent is gone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable

INTERVAL_S = 1.0

_STARTING, _ACCEPTING = b".", b"!"


class Heart:
    """The child's end. `parent` is what the parent has the other end of."""

    def __init__(self, parent: socket.socket) -> None:
        parent.setblocking(False)
        self._parent = parent
        self._beat = _STARTING

    def accepting(self) -> None:
        """Tell the parent, now and from now on, that callbacks are accepted."""
        self._beat = _ACCEPTING
        self._send()

    async def beat(self) -> None:
        """Show the parent that the event loop runs. When the parent is gone, shut this process down gracefully."""
        while self._send():  # noqa: ASYNC110 - a byte in every interval
            await asyncio.sleep(INTERVAL_S)
        os.kill(os.getpid(), signal.SIGTERM)

    def _send(self) -> bool:
        """Whether there is a parent."""
        try:
            self._parent.send(self._beat)
        except BlockingIOError:
            pass  # The parent is slow to listen; it lives.
        except OSError:
            return False
        return True


class HeartbeatMonitor:
    """The parent's end. `is_accepting` once the child has said that it accepts callbacks.

    Args:
        child: what the child has the other end of.
        passed_s: how long the child has run or could have, in seconds since the last call; see `RunningTime`.
    """

    def __init__(self, child: socket.socket, passed_s: Callable[[], float]) -> None:
        child.setblocking(False)
        self._child = child
        self._passed_s = passed_s
        self._silence_s = 0.0
        self.is_accepting = False

    def silence_s(self) -> float:
        """Seconds since the child was last heard of, or began, but those in which the machine did not let it run."""
        self._silence_s += self._passed_s()
        try:
            beats = self._child.recv(4096)
        except (BlockingIOError, ConnectionError):
            beats = b""
        if beats:
            self._silence_s = 0.0
            self.is_accepting = self.is_accepting or _ACCEPTING in beats
        return self._silence_s
