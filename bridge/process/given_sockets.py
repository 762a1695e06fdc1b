"""Sockets that whoever started us has bound: socket activation, as systemd does it.

https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html
"""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import suppress

FIRST = 3
"""The first descriptor that is given."""
ADMIN = "admin"
"""The name (FileDescriptorName=) of the socket for health checks and metrics."""

CHECKED_FOR_VARIABLE = "IM_BRIDGE_PORTS_ARE_GIVEN"
"""Set by an ingress whose sockets were given for the check of what shall take its place: that is given none itself."""
SYSTEMD_ASKED = ("systemctl", "is-active", "--quiet", "im-bridge.socket")
SYSTEMD_PATIENCE_S = 5.0


def would_be_given() -> bool:
    """Whether an ingress that starts here is given a socket, as far as who is given none itself can tell."""
    if CHECKED_FOR_VARIABLE in os.environ:
        return True
    with suppress(OSError, subprocess.TimeoutExpired):  # Mostly there is no systemd.
        asked = subprocess.run(SYSTEMD_ASKED, capture_output=True, timeout=SYSTEMD_PATIENCE_S, check=False)  # noqa: S603
        return asked.returncode == 0
    return False


def take_given_sockets() -> dict[str, socket.socket]:
    """The sockets that were given to this process: `admin`, and under the empty name the one for callbacks.

    Those who start other programs from here give them nothing.

    Raises:
        OSError: they are not what we can serve. The message says what to do.
    """
    pid, count, names = (os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    found: dict[str, socket.socket] = {}
    named = dict(enumerate(names.split(":")))
    for index in range(int(count)):
        name = ADMIN if named.get(index) == ADMIN else ""
        if name in found:
            purpose = "health checks" if name else "callbacks"
            raise OSError(
                f"LISTEN_FDS gives {count} sockets, of which more than one is for {purpose}: one for callbacks is"
                f" taken, and one that is named {ADMIN} (FileDescriptorName=). For IPv6 and IPv4 on one, bind [::]"
            )
        found[name] = _taken(FIRST + index)
    return found


def _taken(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        given = socket.socket(fileno=descriptor)
    except OSError as error:
        raise OSError(f"LISTEN_FDS gives descriptor {descriptor}, which is no socket: {error.strerror}") from error
    is_of_internet = given.family in {socket.AF_INET, socket.AF_INET6} and given.type == socket.SOCK_STREAM
    if not is_of_internet or not given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        given.detach()
        raise OSError(
            f"LISTEN_FDS gives descriptor {descriptor}, which is no socket that listens for TCP: write"
            " ListenStream= with a port, and Accept=no"
        )
    return given
