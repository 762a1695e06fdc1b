"""What tells a parent that its child is not hung, and a child what its parent does: one socket pair.

The child sends a byte from its event loop in every interval, which says whether it accepts callbacks by now. The parent
sends one when the child is to stop. The end of the stream tells the child that the parent is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

INTERVAL_S = 1.0

_STARTING, _ACCEPTING = b".", b"!"
_STOP = b"s"


def ask_to_stop(child: socket.socket) -> None:
    """Ask a child to stop, at a parent's end. A child of an earlier version does not listen.

    Args:
        child: what it has the other end of.
    """
    with contextlib.suppress(OSError):  # It is gone, or hangs, which is noticed elsewhere.
        child.send(_STOP, socket.MSG_DONTWAIT)


class Heart:
    """The child's end.

    Args:
        parent: what the parent has the other end of.
        on_stop: called on the event loop when the parent asks to stop.
        on_alone: called on the event loop when the parent is gone.
    """

    def __init__(self, parent: socket.socket, *, on_stop: Callable[[], object], on_alone: Callable[[], object]) -> None:
        parent.setblocking(False)
        self._parent = parent
        self._on_stop = on_stop
        self._on_alone = on_alone
        self._beat = _STARTING

    def accepting(self) -> None:
        """Tell the parent, now and from now on, that callbacks are accepted."""
        self._beat = _ACCEPTING
        self._send()

    async def beat(self) -> None:
        """Show the parent that the event loop runs, for as long as there is a parent."""
        gone = asyncio.ensure_future(self._parent_gone())
        while not gone.done():
            self._send()
            await asyncio.wait({gone}, timeout=INTERVAL_S)
        self._on_alone()

    async def _parent_gone(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while told := await loop.sock_recv(self._parent, 1):
                if told == _STOP:
                    self._on_stop()

    def _send(self) -> None:
        with contextlib.suppress(OSError):  # The parent is slow to listen, or gone, which is noticed elsewhere.
            self._parent.send(self._beat)


class HeartbeatMonitor:
    """The parent's end.

    Args:
        child: what the child has the other end of.
        passed_s: how long the child has run or could have, in seconds since the last call; see `RunningTime`.
        is_accepting: whether it has said so before.
    """

    def __init__(self, child: socket.socket, passed_s: Callable[[], float], *, is_accepting: bool = False) -> None:
        child.setblocking(False)
        self._child = child
        self._passed_s = passed_s
        self._silence_s = 0.0
        self.is_accepting = is_accepting
        """Whether the child has said that it accepts callbacks."""

    def listen(self) -> bool:
        """Take in what the child has sent. Whether there may be more."""
        try:
            beats = self._child.recv(4096)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        if beats:
            self._silence_s = 0.0
            self.is_accepting = self.is_accepting or _ACCEPTING in beats
        return bool(beats)

    def silence_s(self) -> float:
        """Seconds since the child was last heard of, or began, but those in which the machine did not let it run."""
        self._silence_s += self._passed_s()
        self.listen()
        return self._silence_s
