"""Every reason for which a callback is not kept, and what is said about it."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import NamedTuple

from bridge import metrics
from bridge.ingress.request import CallbackRequest
from common.logs import Throttle

log = logging.getLogger(__name__)

DOCUMENTED_PARAMETERS = frozenset(
    ("sdkappid", "callbackcommand", "contenttype", "clientip", "optplatform", "sign", "requesttime")
)
MAX_SENDERS = 10
"""Most addresses in a line of the log."""


class Refusal(NamedTuple):
    """Why a request is answered without being acknowledged."""

    status: HTTPStatus
    reason: str
    """A short code: label of the metric `bridge_refused_total`, and `reason` of a dead letter."""
    message: str
    """For the platform's log, and ours."""
    advice: str = ""
    """For our log alone: what may be wrong, and which setting to look at."""
    sender: str = ""
    """For our log alone, where that is the reason: the address that is refused."""


METHOD = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", "callbacks are sent with POST")
_UNAUTHENTIC = "SdkAppid, Sign and RequestTime prove no app that is configured here"
"""One message for all three, which tells who guesses nothing about the apps that there are."""
UNKNOWN_APP = Refusal(HTTPStatus.FORBIDDEN, "unknown_app", _UNAUTHENTIC, "SdkAppid is no app of BRIDGE_APPS")
SIGNATURE_MISSING = Refusal(
    HTTPStatus.FORBIDDEN,
    "signature_missing",
    _UNAUTHENTIC,
    "Sign and RequestTime are required: switch callback authentication on where these callbacks are configured (the"
    " console; for Live by REST), with a token of BRIDGE_APPS",
)
BAD_SIGNATURE = Refusal(
    HTTPStatus.FORBIDDEN,
    "bad_signature",
    _UNAUTHENTIC,
    "Sign does not fit RequestTime and any of the app's tokens in BRIDGE_APPS: compare them with the token that is set"
    " where these callbacks are configured. That of IM is in the console; Live, Room, Mic and Call may have others, set"
    " by REST",
)
_STALE = "RequestTime is too far from the time here"
STALE_TIME = Refusal(
    HTTPStatus.FORBIDDEN, "stale_time", _STALE, "it is kept as a dead letter: see bridge_clock_skew_seconds"
)
"""The signature is right: the callback is authentic, and late, or one of the clocks is wrong."""
STALE_NOT_KEPT = Refusal(
    HTTPStatus.FORBIDDEN,
    "stale_not_kept",
    _STALE,
    "it is not kept, since BRIDGE_STALE_PER_MINUTE or BRIDGE_STALE_BYTES_PER_MINUTE is used up, or the journal has"
    " other callbacks to keep",
)
STALE_NOT_CHECKED = Refusal(
    HTTPStatus.FORBIDDEN,
    "stale_not_kept",
    _STALE,
    "its signature is not even looked at, since so many come with different times that are not of now: somebody posts"
    " old or invented URLs, or a clock is wrong (see bridge_clock_skew_seconds)",
)
EXPIRED = Refusal(
    HTTPStatus.FORBIDDEN,
    "expired",
    _STALE,
    "it is further away than BRIDGE_STALE_MAX_AGE_HOURS, so it is not kept: an old URL is posted again, or a clock is"
    " wrong by hours (see bridge_clock_skew_seconds)",
)
SLOW_BODY = Refusal(
    HTTPStatus.REQUEST_TIMEOUT, "slow_body", "the body did not arrive in time", "see BRIDGE_BODY_TIMEOUT_S"
)
BROKEN_BODY = Refusal(HTTPStatus.BAD_REQUEST, "broken_body", "the body did not arrive whole")
SMALL_CHUNKS = Refusal(HTTPStatus.BAD_REQUEST, "broken_body", "the chunks of the body are too small")
LENGTH_REQUIRED = Refusal(
    HTTPStatus.LENGTH_REQUIRED, "no_length", "a callback has a body, told by Content-Length or sent in chunks"
)
CONTENT_CODING = Refusal(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "content_coding", "of Content-Encoding only gzip and deflate are understood"
)
TRANSFER_CODING = Refusal(
    HTTPStatus.NOT_IMPLEMENTED, "transfer_coding", "of Transfer-Encoding only chunked is understood"
)
EXPECTATION = Refusal(HTTPStatus.EXPECTATION_FAILED, "expectation", "of Expect only 100-continue is understood")
NO_ROOM_FOR_BODY = Refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "bodies",
    "the bodies on their way take too much memory",
    "BRIDGE_BODIES_MAX_BYTES is used up, or the half of it that is for bodies that do not arrive whole",
)
MALFORMED = Refusal(HTTPStatus.BAD_REQUEST, "malformed", "this is no HTTP request")
BROKEN_HEAD = Refusal(HTTPStatus.BAD_REQUEST, "malformed", "the request ended in the middle of its head")
HTTP_VERSION = Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "malformed", "HTTP/1.1 is spoken here")
HEAD_TOO_LARGE = Refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", "the head of the request is too large"
)
SLOW_HEAD = Refusal(
    HTTPStatus.REQUEST_TIMEOUT,
    "slow_head",
    "the head of the request did not arrive in time",
    "see BRIDGE_HEAD_TIMEOUT_S",
)
TOO_MANY = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "in_flight", "too many callbacks are in flight")
TOO_LATE = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "deadline", "it could not be made durable in time")
FAULT = Refusal(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "fault",
    "internal error",
    "the bridge itself is wrong there: please report the traceback in the lines before",
)


NOT_ALLOWED = (
    "if it is one of the platform's, add it to BRIDGE_ALLOWED_NETWORKS; if a proxy of yours, to BRIDGE_TRUSTED_PROXIES"
)
PROXY_ALONE = (
    "it is one of BRIDGE_TRUSTED_PROXIES and names nobody in X-Forwarded-For: have it send that header,"
    " or add it to BRIDGE_ALLOWED_NETWORKS"
)
NO_ADDRESS = (
    "it is no address, so that nobody can tell whether it is in BRIDGE_ALLOWED_NETWORKS: have the proxy name"
    " the client's in X-Forwarded-For"
)


def address(sender: str, advice: str) -> Refusal:
    """The sender is not on the allow-list; `advice` is NOT_ALLOWED, PROXY_ALONE or NO_ADDRESS."""
    return Refusal(HTTPStatus.FORBIDDEN, "address", "this address may not post callbacks", advice, sender)


def too_large(max_bytes: int) -> Refusal:
    """The body has more than `max_bytes`."""
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"the body exceeds {max_bytes} bytes")


def record_too_large(message: str) -> Refusal:
    """Neither the event nor the dead letter of a body fits into a record, as the message says."""
    advice = "raise BRIDGE_MAX_RECORD_BYTES, and max.message.bytes of the topics, or lower BRIDGE_MAX_BODY_BYTES"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "record_too_large", message, advice)


def journal_full(message: str) -> Refusal:
    """The journal takes nothing more, as its message says."""
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "journal_full", message)


def answered(refusal: Refusal) -> Refusal:
    """The same for a callback that gets the answer that the platform waits for."""
    return refusal._replace(status=HTTPStatus.OK)


def answered_unkept(refusal: Refusal) -> Refusal:
    """The same for one of which, besides, nothing may be kept."""
    told = "the platform waits for this answer, but no event of it is sure to arrive"
    return answered(refusal)._replace(advice="; ".join(filter(None, (told, refusal.advice))))


class RefusedError(Exception):
    """The request is refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class RefusalLog:
    """Counts refusals, and logs one now and then.

    The log has the shape of a request, none of its values: they may hold secrets, and are the sender's choice. Only of
    what is refused for its address it has that: of those refused since the line before, the first ones.
    """

    def __init__(self) -> None:
        self._throttle = Throttle()
        self._senders: dict[str, None] = {}

    def note(self, refusal: Refusal, request: CallbackRequest) -> None:
        """This request is refused."""
        reason = refusal.reason
        metrics.REFUSED.labels(reason).inc()
        if refusal.sender and len(self._senders) < MAX_SENDERS:
            self._senders[refusal.sender] = None
        if not self._throttle.admits(reason):
            return
        senders = ""
        if refusal.sender:
            senders = f" to {', '.join(self._senders)}"
            self._senders.clear()
        log.warning(
            "answered %d%s (%s: %s)%s; %s; %d more like it before",
            refusal.status,
            senders,
            reason,
            refusal.message,
            refusal.advice and f": {refusal.advice}",
            _shape(request),
            self._throttle.suppressed(reason),
        )


def _shape(request: CallbackRequest) -> str:
    names = {name.partition("=")[0].lower() for name in request.path.partition("?")[2].split("&")} - {""}
    shown = sorted(names & DOCUMENTED_PARAMETERS)
    if others := len(names) - len(shown):
        shown.append(f"{others} undocumented")
    size = "unknown size" if request.size is None else f"{request.size} bytes"
    return f"query parameters: {', '.join(shown) or 'none'}; body of {size}"
