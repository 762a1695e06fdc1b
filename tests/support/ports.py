"""Ports that no other run of the tests takes meanwhile."""

from __future__ import annotations

import fcntl
import os
import tempfile
from functools import cache
from pathlib import Path
from typing import BinaryIO

from bridge.devstack import ports

FROM_THE_SYSTEM = 32_000
"""From here on are those of outgoing connections: see `ports.PORTS`."""
OF_TESTS = range(ports.PORTS.stop, FROM_THE_SYSTEM)
"""None that a command of ours picks by itself, as `bridge dev` does: it knows nothing of claims, and would take the
port of a server that a test is about to start, or has killed for a moment."""


@cache
def _claims() -> BinaryIO:
    """A file in which each process locks the bytes at the numbers of its ports. The system unlocks them at its end."""
    return (Path(tempfile.gettempdir()) / f"im-bridge-tests-{os.getuid()}.ports").open("ab")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that is given to nobody else until this process ends.

    Between the choice of a port and its use a busy machine may take seconds.

    Raises:
        OSError: none was found.
    """
    while not _lock(port := ports.free_port()):
        pass
    return port


def claim(port: int) -> bool:
    """Take this port as `free_port` does. False where somebody has it, or may get it from the system at any time."""
    if port >= FROM_THE_SYSTEM or port in ports._picked or not ports.is_free("127.0.0.1", port) or not _lock(port):
        return False
    ports._picked.add(port)
    return True


def _lock(port: int) -> bool:
    try:
        fcntl.lockf(_claims(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True
