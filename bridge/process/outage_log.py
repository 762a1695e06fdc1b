"""Tells of an outage of Kafka in the log: that it is, how long it may go on, and that it is over."""

from __future__ import annotations

import logging
import time

from bridge.process.status import DiskStatus, KafkaStatus, WaitingStatus
from common.logs import fields
from common.text import byte_size, duration, plural

log = logging.getLogger(__name__)

TOLD_AFTER_S = 5.0
"""What is over sooner is nothing that anybody could do anything about."""
TOLD_EVERY_S = 60.0


class OutageLog:
    """Logs once a minute while Kafka confirms nothing, and while what waited drains; and once that it is over."""

    def __init__(self) -> None:
        self._told_at: float | None = None
        """When an outage was told last, of the monotonic clock; None while there is none that was told."""
        self._is_draining = False
        self._seen_at: float | None = None
        """Since when it is seen: it may have begun before this process, or be over before that connects."""
        self._lasted_s = 0.0
        """How long it is, or was."""

    def tell(self, kafka: KafkaStatus, waiting: WaitingStatus, disk: DiskStatus) -> None:
        """Log what is due; to be called about once a second."""
        now = time.monotonic()
        self._seen_at = None if kafka.state == "confirming" else self._seen_at if self._seen_at is not None else now
        if self._seen_at is not None:
            is_worth_telling = now - self._seen_at >= TOLD_AFTER_S
            if is_worth_telling or self._told_at is None:  # Else a relapse so short is part of the one that was told.
                self._lasted_s = kafka.since_s
            if is_worth_telling and (self._told_at is None or self._is_draining or now - self._told_at >= TOLD_EVERY_S):
                self._told_at, self._is_draining = now, False
                _tell_outage(kafka, waiting, disk)
        elif self._told_at is not None:
            if not waiting.events:
                self._told_at, self._is_draining = None, False
                log.info(
                    "Kafka confirms, after an outage of %s, and all that waited for it is there",
                    duration(self._lasted_s),
                    extra=fields("kafka_drained", outage_s=round(self._lasted_s, 1)),
                )
            elif not self._is_draining or now - self._told_at >= TOLD_EVERY_S:
                self._told_at, self._is_draining = now, True
                _tell_drain(waiting, self._lasted_s)


def _tell_outage(kafka: KafkaStatus, waiting: WaitingStatus, disk: DiskStatus) -> None:
    room = f"room for {byte_size(disk.room_bytes)} more"
    is_shared = disk.room_bytes == disk.free_bytes  # By whoever writes there, of whom this process knows nothing.
    if is_shared:
        room += " on the disk"
    if waiting.full_in_s is not None:
        by_whom = "which this process alone fills" if is_shared else "which is full"
        room += f", {by_whom} in {duration(waiting.full_in_s)} if it goes on like this"
    if not disk.ok:
        room = f"the disk takes nothing ({disk.problem}): callbacks are refused"
    waits = "nothing waits for it"
    if waiting.events:
        verb = "waits" if waiting.events == 1 else "wait"
        what = f"{plural(waiting.events, 'event')} ({byte_size(waiting.bytes)})"
        waits = f"{what} {verb} for it, the oldest for {duration(waiting.oldest_s)}"
    log.warning(
        "Kafka has confirmed nothing for %s: %s; %s; %s",
        duration(kafka.since_s),
        kafka.problem,
        waits,
        room,
        extra=fields(
            "kafka_outage",
            reason=kafka.problem,
            since=kafka.since,
            waiting_events=waiting.events,
            waiting_bytes=waiting.bytes,
            oldest_s=round(waiting.oldest_s, 1),
            room_bytes=disk.room_bytes,
            full_at=waiting.full_at,
        ),
    )


def _tell_drain(waiting: WaitingStatus, outage_s: float) -> None:
    left = "" if waiting.drained_in_s is None else f", all in about {duration(waiting.drained_in_s)}"
    log.info(
        "Kafka confirms again, after %s; %s (%s) that waited are on their way%s",
        duration(outage_s),
        plural(waiting.events, "event"),
        byte_size(waiting.bytes),
        left,
        extra=fields(
            "kafka_draining",
            outage_s=round(outage_s, 1),
            waiting_events=waiting.events,
            waiting_bytes=waiting.bytes,
            drained_at=waiting.drained_at,
        ),
    )
