"""Sockets that listen."""

from __future__ import annotations

import errno
import socket
from pathlib import Path

from common.admin_address import listens_everywhere
from common.unreachable import why_unreachable

ANY_IPV6 = "::"


def bind(host: str, port: int, *, purpose: str = "") -> socket.socket:
    """Take a port on which nobody listens yet: whoever connects is refused until somebody does.

    `::` means every address of the machine, of IPv4 too where the system can do that.

    Args:
        host: an address, or a name that means one of IPv4.
        port: 0 for any that is free.
        purpose: what for, as in " for health checks", for the message of an error.

    Raises:
        OSError: it is taken, or not ours. The message says which, and why.
    """
    try:
        taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:  # No IPv6 in this kernel.
        raise _named(error, host, port, purpose) from error
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if taken.family == socket.AF_INET6:
            both = host == ANY_IPV6 and socket.has_dualstack_ipv6()
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        raise _named(error, host, port, purpose) from error
    # What is accepted inherits it: a peer that vanished without a word is noticed after some hours.
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return taken


def listen(host: str, port: int, *, backlog: int, purpose: str = "") -> socket.socket:
    """Take a port and listen on it; see `bind`.

    Args:
        backlog: how many connections may wait to be accepted.

    Raises:
        OSError: it is taken, or not ours. The message says which, and why.
    """
    listener = bind(host, port, purpose=purpose)
    try:
        listen_on(listener, backlog=backlog, purpose=purpose)
    except OSError:
        listener.close()
        raise
    return listener


def listen_on(bound: socket.socket, *, backlog: int, purpose: str = "") -> None:
    """Listen on a port that was taken before; see `bind`.

    Raises:
        OSError: another has bound it, too, and listens since then. The message says which.
    """
    try:
        bound.listen(backlog)
    except OSError as error:
        name = bound.getsockname()
        if not isinstance(name, tuple):
            raise
        raise _named(error, name[0], name[1], purpose) from error


def overlap(host: str, other: str) -> bool:
    """Whether who listens on a port of the one cannot have it of the other too."""
    return host == other or _takes_of(host, other) or _takes_of(other, host)


def _takes_of(host: str, other: str) -> bool:
    return listens_everywhere(host) and (host == ANY_IPV6 or ":" not in other)


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


def _named(error: OSError, host: str, port: int, purpose: str) -> OSError:
    why = "it is taken" if error.errno == errno.EADDRINUSE else why_unreachable(error)
    return OSError(error.errno, f"cannot listen on {host} port {port}{purpose}: {why}")
