"""What comes before the first request where there is a front or TLS: the PROXY header, the handshake.

All of it is read from the socket itself, and not a byte too much, until it is known who is there and what is spoken.
Then the connection becomes one like any other. While it begins it is in the table, unproven: it has the time for a
head, from its first moment to the end of that head, and gives way to others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from functools import partial
from typing import Any

from bridge import metrics
from bridge.http.certificates import ServerCertificates
from bridge.http.connection import LINGER_S, NEVER
from bridge.http.context import HttpContext
from bridge.http.malformed import refusal_of_no_tls
from bridge.http.proxy_protocol import V2_MAX_BYTES, ProxyHeader, ProxyHeaderError
from bridge.http.tls import BegunConnection, MakeConnection, RefusedConnection, TlsConnection
from bridge.ingress import refusals
from bridge.ingress.addresses import read_address
from bridge.ingress.refusals import Refusal
from common.logs import Throttle, fields
from common.networks import NetworkSet

log = logging.getLogger(__name__)

HANDSHAKE = 0x16
"""The first byte of every TLS connection."""
MARGIN_S = 5.0
"""A handshake is ended by the table, which tells of it; the event loop would do it without a word so much later."""


class Front:
    """How connections of a port begin.

    Args:
        context: of the connections that they become.
        certificates: for TLS; None: there is none.
        senders: who must begin with a PROXY header; None: nobody may.
    """

    def __init__(
        self, context: HttpContext, certificates: ServerCertificates | None, senders: NetworkSet | None
    ) -> None:
        self.context = context
        self.certificates = certificates
        self.loop = asyncio.get_running_loop()
        self._senders = senders
        self._throttle = Throttle()

    def begin(self, connection: socket.socket, address: Any) -> None:
        """Somebody has connected.

        Args:
            connection: to them, not blocking.
            address: theirs, as the socket tells it.
        """
        peer = str(address[0]) if isinstance(address, tuple) else None
        Beginning(self, connection, peer, ProxyHeader() if self._must_introduce(peer) else None).start()

    def _must_introduce(self, peer: str | None) -> bool:
        if self._senders is None or peer is None:
            return False
        address = read_address(peer)
        return address is not None and address in self._senders

    def tell(self, peer: str | None, what: str) -> None:
        """Log, not too often, what is wrong with a connection that gets no reply."""
        if self._throttle.admits(what):
            log.warning(
                "a connection of %s was closed: %s; %d more like it before",
                peer or "a local socket",
                what,
                more := self._throttle.suppressed(what),
                extra=fields("refused", reason=what, address=peer, more=more),
            )


class Beginning:
    """A connection that has not begun to speak HTTP. It is in the table until it does."""

    __slots__ = ("_connection", "_front", "_header", "_is_begun", "_is_over", "_task", "deadline", "peer")

    def __init__(self, front: Front, connection: socket.socket, peer: str | None, header: ProxyHeader | None) -> None:
        self._front = front
        self._connection = connection
        self._header = header
        """The PROXY header, while it has to come."""
        self._task: asyncio.Task[Any] | None = None
        """Makes the connection one of the event loop."""
        self._is_begun = False
        """Whether something has come."""
        self._is_over = False
        self.peer = peer
        self.deadline = front.loop.time() + front.context.head_timeout_s

    @property
    def may_give_way(self) -> bool:
        """No reply is due on it."""
        return True

    @property
    def idle_since(self) -> float:
        """It has proven nothing, and is not idle."""
        return NEVER

    def start(self) -> None:
        """Wait for what has to come first."""
        self._front.context.table.add(self)
        if self._header is None and self._front.certificates is None:
            self._go_on(BegunConnection)
        else:
            self._front.loop.add_reader(self._connection.fileno(), self._look)

    def expire(self) -> None:
        """The time for a head is over."""
        if self._is_begun:
            metrics.REFUSED.labels(refusals.SLOW_HEAD.reason).inc()
            self._front.tell(self.peer, f"its {self._awaited} did not arrive in time (BRIDGE_HEAD_TIMEOUT_S)")
        self.abort()

    def abort(self) -> None:
        """Close it without a word."""
        if self._is_over:
            return
        self._end()
        if self._task is None:
            self._front.loop.remove_reader(self._connection.fileno())
            self._connection.close()
        else:
            # It is the event loop's, which sees its end.
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def give_place(self) -> bool:
        """To the connection that it becomes. False: it is over."""
        was_over = self._is_over
        self._end()
        return not was_over

    @property
    def _awaited(self) -> str:
        return "TLS handshake" if self._header is None else "PROXY header"

    def _end(self) -> None:
        self._is_over = True
        self._front.context.table.remove(self)

    def _look(self) -> None:
        """Something has arrived. What is looked at stays in the socket, what is read of it belongs to the header."""
        try:
            data = self._connection.recv(V2_MAX_BYTES, socket.MSG_PEEK)
            if not data:
                self._break_off()
                return
            self._is_begun = True
            if self._header is not None:
                data = data[self._read_header(self._header, data) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        except ProxyHeaderError as error:
            self._refuse(
                refusals.MALFORMED._replace(
                    message="this connection does not begin as it must",
                    advice=f"{self.peer} is in BRIDGE_TRUSTED_PROXIES, and of what it sends: {error}. Let it send the"
                    " PROXY protocol, or set BRIDGE_PROXY_PROTOCOL=off",
                )
            )
            return
        if self._header is not None:
            return
        certificates = self._front.certificates
        if certificates is None:
            self._go_on(BegunConnection)
        elif not data:
            self._is_begun = False  # What begins now is the handshake.
        elif data[0] == HANDSHAKE:
            self._go_on(TlsConnection, certificates.context)
        else:
            self._refuse(refusal_of_no_tls(data))

    def _read_header(self, header: ProxyHeader, data: bytes) -> int:
        """How many bytes of what has arrived are the PROXY header's, which are read now."""
        size = header.read(data)
        self._connection.recv(size)
        if header.is_whole:
            self.peer = header.source or self.peer
            self._header = None
        return size

    def _break_off(self) -> None:
        """The client will not send what has to come. If it has sent nothing, as a health check, nothing is wrong."""
        if self._is_begun:
            metrics.REFUSED.labels(refusals.BROKEN_HEAD.reason).inc()
            self._front.tell(self.peer, f"it ended in the middle of its {self._awaited}")
        self.abort()

    def _refuse(self, refusal: Refusal) -> None:
        """Answer in plain HTTP, which whoever does not speak what is spoken here understands, if anything."""
        self._go_on(partial(RefusedConnection, refusal))

    def _go_on(self, make: MakeConnection, context: ssl.SSLContext | None = None) -> None:
        """Let the event loop have the connection."""
        front = self._front
        front.loop.remove_reader(self._connection.fileno())
        make_it = partial(make, front.context, front.loop, self)
        if context is None:
            becoming = front.loop.connect_accepted_socket(make_it, self._connection)
        else:
            becoming = front.loop.connect_accepted_socket(
                make_it,
                self._connection,
                ssl=context,
                ssl_handshake_timeout=front.context.head_timeout_s + MARGIN_S,
                ssl_shutdown_timeout=LINGER_S,
            )
        self._task = front.loop.create_task(becoming)
        self._task.add_done_callback(self._connected)

    def _connected(self, task: asyncio.Task[object]) -> None:
        error = None if task.cancelled() else task.exception()
        if not self._is_over and isinstance(error, ssl.SSLError):
            metrics.TLS_HANDSHAKES_FAILED.inc()
            self._front.tell(self.peer, f"its TLS handshake failed ({_reason(error)})")
        if error is not None or task.cancelled():
            self._end()


def _reason(error: ssl.SSLError) -> str:
    reason = (error.reason or error.strerror or "unknown").replace("_", " ").lower()
    if "unknown ca" in reason or "certificate" in reason:
        return f"{reason}: it does not accept the certificate of BRIDGE_TLS_CERTIFICATE or BRIDGE_TLS_SNI"
    if "protocol" in reason or "version" in reason:
        return f"{reason}: TLS 1.2 and 1.3 are spoken here"
    return reason
