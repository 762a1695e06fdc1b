"""What is said to a client that does not speak HTTP as it should, and about it."""

from __future__ import annotations

import logging

from aiohttp.http_exceptions import HttpProcessingError

from bridge import metrics
from bridge.ingress import refusals
from bridge.ingress.refusals import Refusal
from common.logs import Throttle, fields

log = logging.getLogger(__name__)

OTHER_PROTOCOLS = {
    b"\x16\x03": "it is a TLS handshake, and this port speaks plain HTTP: end TLS at a proxy before it",
    b"PRI ": "it is HTTP/2, and this port speaks HTTP/1.1: let the proxy before it speak that",
    b"PROXY ": "it is the PROXY protocol, which is not understood: let the proxy send X-Forwarded-For",
    b"\x00\r\nQUIT\n": "it is the PROXY protocol, which is not understood: let the proxy send X-Forwarded-For",
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
