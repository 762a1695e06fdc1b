"""What is said to a client that does not speak HTTP as it should, and about it."""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError

from bridge import metrics
from bridge.ingress import refusals
from bridge.ingress.refusals import Refusal
from common.logs import Throttle, fields

log = logging.getLogger(__name__)

_PROXY = (
    "it is the PROXY protocol, which is taken of BRIDGE_TRUSTED_PROXIES alone, and with BRIDGE_PROXY_PROTOCOL=on:"
    " set both, or let the proxy send X-Forwarded-For"
)
OTHER_PROTOCOLS = {
    b"\x16\x03": "it is a TLS handshake, and this port speaks plain HTTP: set BRIDGE_TLS_CERTIFICATE and"
    " BRIDGE_TLS_KEY, or end TLS at a proxy before it",
    b"PRI ": "it is HTTP/2, and this port speaks HTTP/1.1: let the proxy before it speak that",
    b"PROXY ": _PROXY,
    b"\x00\r\nQUIT\n": _PROXY,
}
"""How what is often sent to the wrong port begins, and what to do about it."""


def refusal_of(error: HttpProcessingError, data: bytes) -> Refusal:
    """What to answer where the parser of aiohttp has failed.

    Args:
        error: its error.
        data: the beginning of what came. Nothing of it is told: it may hold secrets, and is the sender's choice.
    """
    if "Too many headers" in error.message:
        return refusals.HEAD_TOO_LARGE
    if "Missing 'Host'" in error.message:
        return refusals.MALFORMED._replace(message="HTTP/1.1 requires the header Host")
    for beginning, hint in OTHER_PROTOCOLS.items():
        if data.startswith(beginning):
            return refusals.MALFORMED._replace(advice=hint)
    return refusals.MALFORMED


def refusal_of_no_tls(data: bytes) -> Refusal:
    """What to answer, in plain HTTP, who does not speak TLS where that is spoken.

    Args:
        data: the beginning of what came.
    """
    is_proxy = data.lstrip(b"\r\n").startswith(
        tuple(start for start, hint in OTHER_PROTOCOLS.items() if hint is _PROXY)
    )
    return refusals.MALFORMED._replace(
        message="this port speaks TLS: call it by https://",
        advice=_PROXY if is_proxy else "it is no TLS handshake, and BRIDGE_TLS_CERTIFICATE is set",
    )


class MalformedLog:
    """Counts what came instead of a request, and logs one now and then."""

    def __init__(self) -> None:
        self._throttle = Throttle()

    def note(self, refusal: Refusal) -> None:
        """Something is answered that is no request."""
        metrics.REFUSED.labels(refusal.reason).inc()
        kind = f"{refusal.message}: {refusal.advice}" if refusal.advice else refusal.message
        if self._throttle.admits(kind):
            log.warning(
                "answered %d (%s: %s); %d more like it before",
                refusal.status,
                refusal.reason,
                kind,
                self._throttle.suppressed(kind),
                extra=fields("refused", reason=refusal.reason, status=refusal.status),
            )
