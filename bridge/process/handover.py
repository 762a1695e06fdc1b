"""What a parent hands to the program that it becomes: sockets that listen, and children that serve.

At a reload the parent executes the program anew in its own process, so it keeps its process id and its children. What
it knows travels as JSON in a file in memory, whose descriptor an environment variable names. A later version may read
what an earlier one wrote, and the other way: fields are added, and each has a default.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

import msgspec

VARIABLE = "IM_BRIDGE_HANDOVER"
HELD_BACK = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
"""What the system keeps for the new program, until that is ready for it."""


class HandedSocket(msgspec.Struct):
    """A socket that listens."""

    descriptor: int
    host: str
    port: int
    """As the settings had them."""
    is_given: bool = False
    """Whether whoever started us has bound it, so that host and port say nothing."""


class HandedChild(msgspec.Struct):
    """A process that serves."""

    number: int
    pid: int
    heartbeats: int
    """Descriptor of the parent's end."""
    admin_socket: str
    is_accepting: bool = False
    is_leaving: bool = False


class HandedCounts(msgspec.Struct):
    """What a process has counted."""

    process: str
    """Its name in metrics."""
    counts: list[tuple[str, str, tuple[tuple[str, str], ...], float]]
    """Family, name and labels of each sample, and its value."""
    pid: int = 0
    """0: all of that name that have ended."""
    started: float = 0


class Handover(msgspec.Struct):
    """All of it."""

    listener: HandedSocket
    admin: HandedSocket | None = None
    folder: str = ""
    """Of the children's sockets."""
    children: list[HandedChild] = []
    reloads: dict[str, int] = {}
    """How many reloads came to what."""
    counts: list[HandedCounts] = []
    """So that the totals of metrics do not fall."""
    restarts: int = 0
    """How many processes ended unasked."""
    is_asked_again: bool = False
    """Whether another reload was asked for since this one began."""

    def descriptors(self) -> list[int]:
        """All that must stay open."""
        sockets = [self.listener, *([self.admin] if self.admin else [])]
        return [one.descriptor for one in sockets] + [child.heartbeats for child in self.children]


def take_handover() -> Handover | None:
    """What our predecessor in this process has handed over; None: nothing, we were started by somebody else.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = os.environ.pop(VARIABLE, "")
    if not descriptor.isdecimal():
        return None
    with os.fdopen(int(descriptor), "rb") as file:
        file.seek(0)
        try:
            handover = msgspec.json.decode(file.read(), type=Handover)
        except msgspec.DecodeError as error:
            raise OSError(f"what was handed over at the reload cannot be read: {error}") from error
    for kept in handover.descriptors():
        os.set_inheritable(kept, False)
    return handover


def become(command: list[str], handover: Handover) -> NoReturn:
    """Execute a program in this process, and hand over to it.

    Raises:
        OSError: it cannot be executed. All is as it was.
    """
    descriptor = os.memfd_create("handover", 0)
    kept = handover.descriptors()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    try:
        os.write(descriptor, msgspec.json.encode(handover))
        for one in kept:
            os.set_inheritable(one, True)
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(command[0], command, {**os.environ, VARIABLE: str(descriptor)})  # noqa: S606
    finally:
        for one in kept:
            os.set_inheritable(one, False)
        os.close(descriptor)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def let_signals_come() -> None:
    """Let come what was held back: we are ready for it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
