"""Every reason for which a callback is not acknowledged, and what is said about it."""

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


class Refusal(NamedTuple):
    """Why a request is answered without being acknowledged."""

    status: HTTPStatus
    reason: str
    """A short code: label of the metric `bridge_refused_total`, and `reason` of a dead letter."""
    message: str
    """For the platform's log, and ours."""


METHOD = Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method", "callbacks are sent with POST")
ADDRESS = Refusal(HTTPStatus.FORBIDDEN, "address", "this address may not post callbacks")
UNKNOWN_APP = Refusal(HTTPStatus.FORBIDDEN, "unknown_app", "SdkAppid is none of the configured apps")
SIGNATURE_MISSING = Refusal(
    HTTPStatus.FORBIDDEN,
    "signature_missing",
    "Sign and RequestTime are required: set the callback token in the console",
)
BAD_SIGNATURE = Refusal(HTTPStatus.FORBIDDEN, "bad_signature", "Sign does not fit RequestTime and the configured token")
STALE_TIME = Refusal(HTTPStatus.FORBIDDEN, "stale_time", "RequestTime is too far from the time here")
"""The signature is right: the callback is authentic, and late, or one of the clocks is wrong."""
SLOW_BODY = Refusal(HTTPStatus.REQUEST_TIMEOUT, "slow_body", "the body did not arrive in time")
BROKEN_BODY = Refusal(HTTPStatus.BAD_REQUEST, "broken_body", "the body did not arrive whole")
TOO_MANY = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "in_flight", "too many callbacks are in flight")
TOO_LATE = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "deadline", "it could not be made durable in time")


def too_large(max_bytes: int) -> Refusal:
    """The body has more than `max_bytes`."""
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"the body exceeds {max_bytes} bytes")


def journal_full(message: str) -> Refusal:
    """The journal takes nothing more, as its message says."""
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "journal_full", message)


class RefusedError(Exception):
    """The request is refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class RefusalLog:
    """Counts refusals, and logs one now and then.

    The log has the shape of a request, none of its values: they may hold secrets, and are the sender's choice.
    """

    def __init__(self) -> None:
        self._throttle = Throttle()

    def note(self, refusal: Refusal, request: CallbackRequest) -> None:
        """This request is refused."""
        reason = refusal.reason
        metrics.REFUSED.labels(reason).inc()
        if not self._throttle.admits(reason):
            return
        names = {name.partition("=")[0].lower() for name in request.path.partition("?")[2].split("&")}
        log.warning(
            "answered %d (%s: %s): query parameters %s and %d others, body of %s bytes; %d more like it before",
            refusal.status,
            reason,
            refusal.message,
            ", ".join(sorted(names & DOCUMENTED_PARAMETERS)) or "none",
            len(names - DOCUMENTED_PARAMETERS - {""}),
            "unknown" if request.size is None else request.size,
            self._throttle.suppressed(reason),
        )
