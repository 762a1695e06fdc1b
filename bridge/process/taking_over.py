"""What a program does that a parent has become at a reload, and that cannot begin: it waits for right settings.

They were right when they were checked, a moment ago. Whoever writes a file of settings in several steps, or while a
reload is under way, is not to lose the processes that serve: they would end with their parent.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TypeVar

from bridge.process.handover import VARIABLE, Handover, take_handover
from bridge.process.heartbeat import ask_to_stop
from common.retry import Backoff

RETRY_FIRST_S, RETRY_MAX_S = 0.5, 5.0
END_WITHIN_S = 60.0
"""How long the children have for their end; what they were told of it is in settings that cannot be read."""
END_POLL_S = 0.05
STOP = frozenset({signal.SIGTERM, signal.SIGINT})
WAKE = STOP | {signal.SIGHUP}

T = TypeVar("T")


def once_right(load: Callable[[], T]) -> T:
    """What `load` gives. Where a predecessor has handed over its processes, it is tried until it gives something.

    Args:
        load: ends the program with SystemExit where it cannot, and has said why.

    Raises:
        SystemExit: nothing was handed over, or all is to end.
    """
    waits = Backoff(first_s=RETRY_FIRST_S, max_s=RETRY_MAX_S)
    while True:
        try:
            return load()
        except SystemExit:
            if VARIABLE not in os.environ:
                raise
        _say("error: reload: the settings are wrong now, and were right when they were checked. The former processes")
        _say("error: go on serving, without a parent that could start them again: put the settings right")
        # Signals are held back since the predecessor has handed over, until somebody is ready for them.
        told = signal.sigtimedwait(WAKE, next(waits))
        if told is not None and told.si_signo in STOP:
            _end_all(take_handover())


def _end_all(handover: Handover | None) -> NoReturn:
    if handover is None:
        raise SystemExit(0)
    os.close(handover.listener.descriptor)
    heartbeats = {child.pid: socket.socket(fileno=child.heartbeats) for child in handover.children}
    children = set(heartbeats)
    for pid in children:
        ask_to_stop(heartbeats[pid])
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    give_up_at = time.monotonic() + END_WITHIN_S
    while children and time.monotonic() < give_up_at:
        children -= {pid for pid in children if _has_ended(pid)}
        time.sleep(END_POLL_S)
    raise SystemExit(0)


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - how to log is in the settings
