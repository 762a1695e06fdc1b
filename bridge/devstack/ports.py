"""Ports of this machine."""

from __future__ import annotations

import errno
import random
import socket

PORTS = range(15000, 20000)
"""Below the range that the system takes ports of outgoing connections from: who tries to connect to a port of that
range while nobody listens there can end up connected to itself, and then a restarted server finds its port taken."""
ATTEMPTS = 200

_picked: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, a different one at each call.

    Raises:
        OSError: none was found.
    """
    for port in random.sample(PORTS, ATTEMPTS):
        if port not in _picked and is_free("127.0.0.1", port):
            _picked.add(port)
            return port
    raise OSError(f"{ATTEMPTS} ports between {PORTS.start} and {PORTS.stop} were tried, and all are taken")


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens there.

    Raises:
        OSError: nobody can: it is no address of this machine, or a port that needs a right that we have not.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True
