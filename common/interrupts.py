"""What Ctrl-C and SIGTERM do to a program of ours until its command says otherwise.

The first thing that a program imports: whatever it imports later, a signal shows no traceback of that.
"""

from __future__ import annotations

import os
import signal
from types import FrameType


def end_quietly_when_signalled() -> None:
    """Let Ctrl-C and SIGTERM end this process at once and in silence, until `be_interruptible`.

    By a handler and not the system's own action, which has no effect on the first process of a container.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def be_interruptible() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again: for a command that has something to put right before it ends."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)
