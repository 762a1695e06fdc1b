"""What a callback becomes, in the terms of the ingress: records to keep, or a reason to refuse it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from bridge import metrics
from bridge.events import registry
from bridge.ingress import refusals, replies
from bridge.ingress.refusals import RefusedError
from bridge.ingress.replies import PlatformReply
from bridge.journal.record import Record
from bridge.normalize.drift import Drift
from bridge.normalize.normalizer import Normalizer, RecordTooLargeError, TopicLimit
from bridge.normalize.received import Received
from bridge.normalize.repair import UnreadableError
from bridge.settings import BridgeSettings
from common.logs import Throttle, fields
from common.remembered import Remembered

log = logging.getLogger(__name__)


def _counter(command: str) -> Callable[[], PlatformReply]:
    label, reply = registry.label(command), replies.accepted(command)

    def count() -> PlatformReply:
        metrics.ACCEPTED.count(label)
        return reply

    return count


COUNTERS = Remembered(_counter, most=256)
"""Command → what counts a callback of it that is durable as events, and gives the reply."""


class Normalized(msgspec.Struct, frozen=True, gc=False):
    """What became of a callback."""

    command: str
    records: list[Record]
    unreadable: str | None = None
    """Why it is a dead letter, None where it became events."""


class CallbackNormalizer:
    """Makes records of callbacks, and counts those that are durable.

    Args:
        settings: topics, limits.
        topic_limit, drift: see `Normalizer`.
    """

    def __init__(self, settings: BridgeSettings, topic_limit: TopicLimit | None, drift: Drift | None) -> None:
        self._normalizer = Normalizer.from_settings(settings, topic_limit, drift)
        self.usual = self._normalizer.usual
        self._dlq_topic = settings.dlq_topic
        self._throttle = Throttle()

    def normalize(self, command: str, received: Received) -> Normalized:
        """The records of a callback. Raises as `dead_letter`."""
        usual = self.usual(received.query, received.body, received.time_ns, received.trace)
        return self.normalize_unusual(command, received) if usual is None else Normalized(command, [usual])

    def normalize_unusual(self, command: str, received: Received) -> Normalized:
        """The records of a callback that is no usual one. Raises as `dead_letter`."""
        try:
            return Normalized(command, self._normalizer.unusual(received))
        except UnreadableError as error:
            detail = str(error)
            return Normalized(command, [self.dead_letter(received, error.reason, detail)], detail)

    def dead_letter(self, received: Received, reason: str, detail: str) -> Record:
        """The record that keeps a callback as it came.

        Raises:
            RefusedError: it would be larger than a record may be.
        """
        try:
            return self._normalizer.dead_letter(received, reason, detail)
        except RecordTooLargeError as error:
            raise RefusedError(refusals.record_too_large(str(error))) from error

    def count(self, normalized: Normalized) -> PlatformReply:
        """The records of a callback are durable: count it, and count and tell the dead letters among them. Gives the
        reply."""
        if normalized.unreadable is None:
            reply = COUNTERS[normalized.command]()
        else:
            reply = replies.kept_as_dead_letter(normalized.unreadable, normalized.command)
            if self._throttle.admits("unreadable"):
                log.warning(
                    "kept as a dead letter: %s",
                    normalized.unreadable,
                    extra=fields("kept_as_dead_letter", reason=str(normalized.unreadable)),
                )
        for record in normalized.records:
            if record.topic == self._dlq_topic:
                metrics.DEAD_LETTERS.labels(dict(record.headers)["reason"].decode()).inc()
        return reply
