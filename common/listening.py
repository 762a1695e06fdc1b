"""Sockets that listen."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

ANY_IPV6 = "::"


def listen(host: str, port: int, *, backlog: int, purpose: str = "") -> socket.socket:
    """Bind a port. `::` means every address of the machine, of IPv4 too where the system can do that.

    Args:
        host: an address, or a name that means one of IPv4.
        port: 0 for any that is free.
        backlog: how many connections may wait to be accepted.
        purpose: what for, as in " for health checks", for the message of an error.

    Raises:
        OSError: it is taken, or not ours. The message says which, and why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == ANY_IPV6 and socket.has_dualstack_ipv6()
    try:
        listener = socket.create_server((host, port), family=family, backlog=backlog, dualstack_ipv6=both)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "it is taken" if taken else os.strerror(error.errno) if error.errno else str(error)
        raise OSError(error.errno, f"cannot listen on {host} port {port}{purpose}: {why}") from error
    # What is accepted inherits it: a peer that vanished without a word is noticed after some hours.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return listener


def listen_at(path: Path, *, backlog: int) -> socket.socket:
    """Listen on a Unix socket. What a predecessor that was killed has left at its path is replaced.

    Raises:
        OSError: the path cannot be used.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(backlog)
    return listener
