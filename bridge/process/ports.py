"""The ports of the parent: bound here, given by whoever started it, or handed over by its predecessor."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from bridge.process.given_sockets import ADMIN, take_given_sockets, would_be_given
from bridge.process.handover import HandedSocket, Handover
from bridge.settings import BridgeSettings
from common.admin import listen_for_admin
from common.listening import bind, overlap
from common.logs import fields

log = logging.getLogger(__name__)

Bind = Callable[[str, int], socket.socket]
"""Takes a port of an address. Raises OSError."""


@dataclass(frozen=True)
class Port:
    """A socket that is bound, and what the settings were then."""

    socket: socket.socket
    host: str
    port: int
    is_given: bool = False
    """Whether whoever started us has bound it, whatever the settings say."""

    @cached_property
    def address(self) -> str:
        """As people write it. Once asked for, it is known also when the socket is closed."""
        name = self.socket.getsockname()
        return f"{name[0]} port {name[1]}" if isinstance(name, tuple) else str(name)

    def hand_over(self) -> HandedSocket:
        """What a successor has to know of it."""
        return HandedSocket(self.socket.fileno(), self.host, self.port, self.is_given)


def take_port(
    host: str, port: int, bind: Bind, *, handed: HandedSocket | None = None, given: socket.socket | None = None
) -> Port:
    """The port of the settings.

    Args:
        host, port: of the settings.
        bind: takes it.
        handed: what the predecessor had. It is kept where the settings are the same, or the new ones do not work.
        given: what whoever started us has bound.

    Raises:
        OSError: it cannot be had, and there is no other.
    """
    if given is not None:
        return Port(given, host, port, is_given=True)
    if handed is None:
        return Port(bind(host, port), host, port)
    former = Port(socket.socket(fileno=handed.descriptor), handed.host, handed.port, handed.is_given)
    if handed.is_given or (handed.host, handed.port) == (host, port):
        return former
    try:
        taken = Port(bind(host, port), host, port)
    except OSError as error:
        log.error(
            "%s; %s stays in use until the next reload",
            error.strerror or error,
            former.address,
            extra=fields("setting_refused", reason=error.strerror or str(error)),
        )
        return former
    former.socket.close()
    return taken


@dataclass(frozen=True)
class Ports:
    """The sockets of an ingress."""

    callbacks: Port
    admin: Port | None
    """For health checks and metrics; None: there is none."""

    @property
    def is_given(self) -> bool:
        """Whether whoever started us has bound one of them."""
        return self.callbacks.is_given or bool(self.admin and self.admin.is_given)


def shared_port(settings: BridgeSettings) -> str:
    """What is wrong where the settings have one port for both; empty: nothing."""
    is_shared = settings.port == settings.admin_port != 0 and overlap(settings.host, settings.admin_host)
    if not is_shared:
        return ""
    return f"port {settings.port} is for callbacks and for health checks: give BRIDGE_PORT or BRIDGE_ADMIN_PORT another"


def check_ports(settings: BridgeSettings) -> None:
    """See whether both ports can be had, as far as the settings alone tell.

    Raises:
        OSError: they are one, and nobody gives us a socket in its place. The message says which.
    """
    if (problem := shared_port(settings)) and not would_be_given():
        raise OSError(problem)


def take_ports(settings: BridgeSettings, handover: Handover | None) -> Ports:
    """All ports of the settings: as the predecessor, or whoever started us, has them, or bound now.

    Raises:
        OSError: one cannot be had; the message says which.
    """
    given = take_given_sockets()
    if not given and handover is None and (problem := shared_port(settings)):
        raise OSError(problem)
    callbacks = take_port(
        settings.host, settings.port, bind, handed=handover.listener if handover else None, given=given.get("")
    )
    handed_admin = handover.admin if handover else None
    if settings.admin_port == 0 and ADMIN not in given and not (handed_admin and handed_admin.is_given):
        if handed_admin is not None:
            os.close(handed_admin.descriptor)
        return Ports(callbacks, None)
    host, port = settings.admin_host, settings.admin_port
    return Ports(callbacks, take_port(host, port, listen_for_admin, handed=handed_admin, given=given.get(ADMIN)))
