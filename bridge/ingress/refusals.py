"""Every reason for which a callback is not kept, and what is said about it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

import msgspec

from bridge import metrics
from bridge.ingress.request import CallbackRequest
from bridge.ingress.traces import TracedRequest
from common.logs import Throttle, fields
from common.timestamps import rfc3339

log = logging.getLogger(__name__)

DOCUMENTED_PARAMETERS = frozenset(
    ("sdkappid", "callbackcommand", "contenttype", "clientip", "optplatform", "sign", "requesttime")
)
MAX_SENDERS = 10
"""Most addresses in a line of the log."""
APP_ID = re.compile(r"[0-9]{1,20}")


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
MANY_HEADS = SLOW_HEAD._replace(
    message="too many heads of requests do not arrive as a whole",
    advice="the oldest gives way: somebody begins thousands of requests and does not end them",
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


class RefusalCount(msgspec.Struct):
    """The refusals for one reason since the process started, and the last of them."""

    reason: str
    count: int
    last: str
    """When the last one came, RFC 3339."""
    status: int
    app: str
    """SdkAppid of the last one, as it claims; empty where it names none."""
    address: str
    """Who sent the last one, seen through our own proxies."""


class _Kind:
    """What is known of the refusals for one reason."""

    def __init__(self) -> None:
        self.count = 0
        self.last_at = 0.0
        self.last: tuple[Refusal, str, str | None, str]
        """Of the last one: refusal, path, peer, X-Forwarded-For. They are read when somebody wants to know."""
        self.senders: dict[str, None] = {}
        """Of those that no line has told yet, the first ones."""
        self.sent_by: tuple[str | None, str] | None = None
        """Peer and X-Forwarded-For of who was noted last among the senders: a flood comes from few."""


class RefusalLog:
    """Counts refusals, and logs one now and then.

    The log has the shape of a request, the app that it names, and its sender, with the first ones of those refused
    since the line before. It has none of its other values: they may hold secrets, and are the sender's choice.

    Args:
        sender_of: the address that counts, of a peer and of `X-Forwarded-For`.
    """

    def __init__(self, sender_of: Callable[[str | None, str], str] = lambda peer, _: peer or "") -> None:
        self._throttle = Throttle()
        self._sender_of = sender_of
        self._kinds: dict[str, _Kind] = {}

    @property
    def counts(self) -> list[RefusalCount]:
        """Of each reason how often, and the last."""
        return [
            RefusalCount(
                reason,
                kind.count,
                rfc3339(int(kind.last_at * 1000)),
                int(refusal.status),
                _shown_app(app_id),
                refusal.sender or self._sender_of(peer, forwarded_for),
            )
            for reason, kind in self._kinds.items()
            for refusal, app_id, peer, forwarded_for in (kind.last,)
        ]

    def note(self, refusal: Refusal, request: CallbackRequest) -> None:
        """This request is refused."""
        reason = refusal.reason
        if isinstance(request, TracedRequest):
            request.refused = reason
        metrics.REFUSED.labels(reason).inc()
        kind = self._kinds.get(reason)
        if kind is None:
            kind = self._kinds[reason] = _Kind()
        kind.count += 1
        kind.last_at = time.time()
        kind.last = (refusal, request.query.app_id, request.peer, request.fields.forwarded_for)
        if len(kind.senders) < MAX_SENDERS and (sent_by := kind.last[2:]) != kind.sent_by:
            kind.sent_by = sent_by
            kind.senders[refusal.sender or self._sender_of(*sent_by)] = None
        if self._throttle.admits(reason):
            self._tell(refusal, kind, request)

    def _tell(self, refusal: Refusal, kind: _Kind, request: CallbackRequest) -> None:
        app, senders, more = (
            _shown_app(request.query.app_id),
            list(kind.senders),
            self._throttle.suppressed(refusal.reason),
        )
        kind.senders.clear()
        kind.sent_by = None
        log.warning(
            "answered %d to %s%s (%s: %s)%s; %s; %d more like it before",
            refusal.status,
            ", ".join(senders) or "an unknown address",
            f" of app {app}" if app else "",
            refusal.reason,
            refusal.message,
            refusal.advice and f": {refusal.advice}",
            _shape(request),
            more,
            extra=fields(
                "refused",
                reason=refusal.reason,
                status=int(refusal.status),
                app=app or None,
                address=senders[-1] if senders else None,
                addresses=senders,
                more=more,
                trace_id=request.trace_id if isinstance(request, TracedRequest) else None,
            ),
        )


def _shown_app(app_id: str) -> str:
    """The SdkAppid that a request names, where it is one; else nothing, for it may be anything."""
    return app_id if APP_ID.fullmatch(app_id) else ""


def _shape(request: CallbackRequest) -> str:
    names = {name.partition("=")[0].lower() for name in request.query.raw.split("&")} - {""}
    shown = sorted(names & DOCUMENTED_PARAMETERS)
    if others := len(names) - len(shown):
        shown.append(f"{others} undocumented")
    size = "unknown size" if request.size is None else f"{request.size} bytes"
    return f"query parameters: {', '.join(shown) or 'none'}; body of {size}"
