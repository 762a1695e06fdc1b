"""The public port: bound once, and shared by all processes of an ingress."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Self

from bridge import metrics
from bridge.http.body_budget import BodyBudget
from bridge.http.certificates import ServerCertificates
from bridge.http.connection import HttpConnection
from bridge.http.connection_table import ConnectionTable
from bridge.http.context import HttpContext
from bridge.http.front import Front
from bridge.http.gathering import Gathering
from bridge.http.head import MAX_ARRIVING_HEADS_BYTES
from bridge.http.malformed import MalformedLog
from bridge.http.phase import Phase
from bridge.ingress.ingress import Ingress
from bridge.settings import BridgeSettings
from common import listening
from common.networks import NetworkSet

LISTEN_BACKLOG = 1024
CHECK_INTERVAL_S = 0.02


def listen(host: str, port: int) -> socket.socket:
    """Bind the port of the callbacks.

    Raises:
        OSError: it is taken. The message says which.
    """
    return listening.listen(host, port, backlog=LISTEN_BACKLOG)


def listen_on(port: socket.socket) -> None:
    """Listen on the port of the callbacks, which was bound before.

    Raises:
        OSError: somebody else listens there since then. The message says where.
    """
    listening.listen_on(port, backlog=LISTEN_BACKLOG)


class HttpServer:
    """The connections of a process, and what they have in common.

    Args:
        ingress: accepts callbacks.
        flush: of the journal, called after each lot of callbacks.
        gather_s: how long callbacks gather at most, to be handled as one lot.
        head_timeout_s: how long the head of a request may take to arrive.
        body_timeout_s: how long a body may take to arrive.
        max_body_bytes: a larger body is refused, and not read to its end.
        bodies_max_bytes: what all bodies may take.
        keepalive_s: how long an idle connection is kept.
        max_connections: most connections.
        confirms: whether Kafka confirms what it is sent at present.
        certificates: for TLS; None: the port speaks plain HTTP.
        senders: who must begin connections with a header of the PROXY protocol; None: nobody may.
    """

    def __init__(
        self,
        ingress: Ingress,
        flush: Callable[[], None],
        *,
        gather_s: float,
        head_timeout_s: float,
        body_timeout_s: float,
        max_body_bytes: int,
        bodies_max_bytes: int,
        keepalive_s: float,
        max_connections: int,
        confirms: Callable[[], bool] = lambda: True,
        certificates: ServerCertificates | None = None,
        senders: NetworkSet | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.table = ConnectionTable(max_connections)
        """The connections that there are."""
        self._context = HttpContext(
            ingress=ingress,
            gathering=Gathering(ingress.accept, flush, gather_s=gather_s, confirms=confirms),
            table=self.table,
            bodies=BodyBudget(bodies_max_bytes),
            heads=BodyBudget(2 * MAX_ARRIVING_HEADS_BYTES),
            malformed=MalformedLog(),
            head_timeout_s=head_timeout_s,
            body_timeout_s=body_timeout_s,
            keepalive_s=keepalive_s,
            max_body_bytes=max_body_bytes,
        )
        has_front = certificates is not None or senders is not None
        self.front = Front(self._context, certificates, senders) if has_front else None
        """What comes before the first request; None: nothing does."""

    @classmethod
    def from_settings(
        cls,
        settings: BridgeSettings,
        ingress: Ingress,
        flush: Callable[[], None],
        *,
        max_connections: int,
        confirms: Callable[[], bool],
    ) -> Self:
        """The one that the settings describe.

        Args:
            max_connections: as many of those of the settings as the process has descriptors for.
            confirms: whether Kafka confirms what it is sent at present.

        Raises:
            CertificateError: a certificate cannot be used.
        """
        return cls(
            ingress,
            flush,
            gather_s=settings.gather_ms / 1000,
            head_timeout_s=settings.head_timeout_s,
            body_timeout_s=settings.body_timeout_s,
            max_body_bytes=settings.max_body_bytes,
            bodies_max_bytes=settings.bodies_max_bytes,
            keepalive_s=settings.keepalive_s,
            max_connections=max_connections,
            confirms=confirms,
            certificates=ServerCertificates.from_settings(settings),
            senders=NetworkSet(settings.trusted_proxies) if settings.proxy_protocol else None,
        )

    def end_gathering(self) -> None:
        """Handle now what has arrived whole."""
        self._context.gathering.hand_over()

    def renew_certificates(self) -> bool:
        """Read them anew if their files have changed. False: what the files hold cannot be used, the former are."""
        if self.front is None or self.front.certificates is None:
            return True
        certificates = self.front.certificates
        certificates.refresh()
        for file, expires_at in certificates.expiries.items():
            metrics.TLS_CERTIFICATE_EXPIRY.labels(file).set(expires_at)
        return not certificates.problem

    @property
    def body_bytes(self) -> int:
        """What bodies take that are on their way to a reply."""
        return self._context.bodies.used

    def connection(self) -> HttpConnection:
        """A new connection."""
        return HttpConnection(self._context, self._loop)

    def ask_to_close(self) -> None:
        """From now on, each reply asks the client to close its connection."""
        self._context.asks_to_close = True

    async def drain(self, timeout_s: float) -> None:
        """Close what is idle; let the requests that are under way be answered, within `timeout_s`; close the rest."""
        self.ask_to_close()
        for connection in self._in_phase(Phase.HEAD):
            connection.finish()  # It may have replies that the client has not read yet.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._in_phase(Phase.BODY, Phase.REPLY):  # noqa: ASYNC110 - none of them has an event
                    await asyncio.sleep(CHECK_INTERVAL_S)
        for left in self.table:
            if isinstance(left, HttpConnection) and left.phase in {Phase.HEAD, Phase.ENDING}:
                left.finish()
            else:
                left.abort()

    def _connections(self) -> list[HttpConnection]:
        return [connection for connection in self.table if isinstance(connection, HttpConnection)]

    def _in_phase(self, *phases: Phase) -> list[HttpConnection]:
        return [connection for connection in self._connections() if connection.phase in phases]
