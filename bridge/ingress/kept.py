"""A callback that the journal has been given, until that tells whether it is durable."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from bridge.ingress import refusals
from bridge.ingress.refusals import Refusal
from bridge.ingress.replies import PlatformReply
from bridge.ingress.request import CallbackRequest

log = logging.getLogger(__name__)


class Answerer(Protocol):
    """Answers requests: `bridge.ingress.ingress.Ingress`."""

    def respond(self, request: CallbackRequest, reply: PlatformReply) -> None:
        """Give a request its reply."""

    def refuse(self, request: CallbackRequest, refusal: Refusal) -> None:
        """Answer a request that is not accepted."""

    def fail(self, request: CallbackRequest) -> None:
        """Answer a request that cannot be handled, for a fault of ours."""


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A callback whose reply waits for the journal.

    Its method is what the journal calls: a `partial` of one takes three times as long to make and to call.
    """

    answerer: Answerer
    request: CallbackRequest
    count: Callable[[], PlatformReply]
    """Counts that it is durable. Gives the reply."""

    def resolve(self, durable: bool) -> None:
        """The journal has told whether the callback is durable."""
        if not durable:
            self.answerer.refuse(self.request, refusals.TOO_LATE)
            return
        try:
            reply = self.count()
        except Exception:
            log.exception("a callback that was kept could not be counted")
            self.answerer.fail(self.request)
        else:
            self.answerer.respond(self.request, reply)
