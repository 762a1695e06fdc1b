"""Reads the dead letters of the ingress again, with the code of today: `bridge dlq replay`.

A callback that could not become an event lies on the dead-letter topic as it came. When a newer version can read it,
it is normalized again: its event gets the time of the original receipt, is written to the topic of events and
confirmed, and then the letter is marked as done (`consumers dlq list` shows what is open, `consumers dlq drop` marks
without replay). Killed between the two it is replayed again, with the same event id.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import uvloop
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from bridge.ingress.refusals import STALE_TIME
from bridge.journal.record import Record
from bridge.normalize.normalizer import Normalizer
from bridge.normalize.received import Received
from bridge.normalize.repair import UnreadableError
from bridge.query import parse_query
from bridge.settings import BridgeSettings, DeveloperSettings
from common import logs
from common.dead_letter_commands import show_replay, unusable
from common.dead_letter_filter import INGRESS, DeadLetterFilter
from common.dead_letter_replay import (
    LetterMissingError,
    NotReplayableError,
    ReplayProgress,
    ReportReplay,
    for_each_letter,
)
from common.kafka import diagnosis
from common.kafka.clients import ClientArguments
from common.kafka.dead_letters import DeadLetter, done_topic, marker
from common.kafka.partition import partition_of
from common.kafka.producer import make_producer, stop_producer
from common.kafka.topics import TopicsMissingError, ensure_topics
from common.program import command_line
from common.settings import load_settings
from common.tracing.context import context_of

CONFIRM_TIMEOUT_S = 30.0
STALE = STALE_TIME.reason


def run(chosen: DeadLetterFilter, *, rate: float | None, dry_run: bool) -> None:
    """See `bridge.commands.dlq.replay`."""
    settings = load_settings(DeveloperSettings)
    logs.configure(log_format=settings.log_format, level="error")
    diagnosis.watch()
    try:
        show_replay(
            "reading dead letters",
            lambda report: uvloop.run(replay(settings, chosen, rate=rate, dry_run=dry_run, report=report)),
            done="would become events" if dry_run else "became events",
            stay="cannot be read yet and stay",
            left_out=_why_left_out(),
        )
    except (LetterMissingError, TopicsMissingError) as error:
        raise SystemExit(f"error: {error}") from None
    except (KafkaError, OSError, TimeoutError) as error:
        why = unusable(error, settings.kafka_bootstrap_servers, "BRIDGE_KAFKA_BOOTSTRAP_SERVERS")
        raise SystemExit(f"error: {why}. What was replayed until then is marked; run it again") from None


def _why_left_out() -> str:
    look = f"{command_line('consumers')} dlq list --group {INGRESS} --reason {STALE}"
    return (
        "their time was wrong when they came, so that they may be old URLs with forged bodies. Look at them with"
        f" `{look}`; if a clock was wrong then, add --reason {STALE}"
    )


async def replay(
    settings: BridgeSettings, chosen: DeadLetterFilter, *, rate: float | None, dry_run: bool, report: ReportReplay
) -> ReplayProgress:
    """Make events of letters of the ingress.

    Args:
        settings: connection and topics, and what events are like.
        chosen: which letters.
        rate: letters a second at most; None: as fast as it goes.
        dry_run: only count.
        report: told after each letter.

    Raises:
        LetterMissingError: one letter is meant, and is not there.
        TopicsMissingError: there is no topic for markers and we may not make it.
        KafkaError, OSError, TimeoutError: Kafka cannot be used.
    """
    client = settings.kafka_client()
    progress = ReplayProgress()
    writer = None if dry_run else await EventWriter.connected(client, settings)
    normalizer = LetterNormalizer(settings)

    async def handle(letter: DeadLetter) -> None:
        records = normalizer.records(letter)
        if writer is not None:
            await writer.write(letter, records)

    try:
        await for_each_letter(
            client,
            settings.dlq_topic,
            chosen,
            handle,
            rate=None if dry_run else rate,
            progress=progress,
            report=report,
            leaves_out=lambda letter: letter.reason == STALE and not (chosen.reason or chosen.name),
        )
    finally:
        if writer is not None:
            await writer.close()
    return progress


class LetterNormalizer:
    """Makes records of letters, as the ingress makes them of callbacks."""

    def __init__(self, settings: BridgeSettings) -> None:
        self._dlq_topic = settings.dlq_topic
        self._normalizer = Normalizer.from_settings(settings)

    def records(self, letter: DeadLetter) -> list[Record]:
        """The records of the events in a letter.

        Raises:
            NotReplayableError: there are none.
        """
        headers, record = letter.headers, letter.record
        if letter.reason == "refused_by_broker":
            command = f"{command_line('bridge')} journal show --refused"
            raise NotReplayableError(f"it is kept on the disk of the bridge: `{command}`")
        if "query" not in headers or "receivedtime" not in headers:
            raise NotReplayableError("it is no callback")
        if "body-sha256" in headers:
            raise NotReplayableError("its body was not kept, since nobody could tell which fields to drop")
        received_ms = round(datetime.fromisoformat(headers["receivedtime"]).timestamp() * 1000)
        # Two callbacks of one millisecond have other offsets, and one that is replayed twice has the same.
        time_ns = received_ms * 1_000_000 + record.offset % 1_000_000
        context = context_of(record.headers)
        trace = () if context is None else context.record_headers
        received = Received(parse_query(headers["query"]), record.value or b"", time_ns, trace)
        try:
            records = self._normalizer.event(received)
        except UnreadableError as error:
            raise NotReplayableError(f"{error.reason}: {error}") from error
        if any(made.topic == self._dlq_topic for made in records):
            raise NotReplayableError("some events of its batch cannot be read")
        return records


class EventWriter:
    """Writes events, and then the marker of their letter."""

    def __init__(self, producer: AIOKafkaProducer, done: str) -> None:
        self._producer = producer
        self._done = done

    @classmethod
    async def connected(cls, client: ClientArguments, settings: BridgeSettings) -> EventWriter:
        """A writer that can begin.

        Raises:
            KafkaError, OSError, TimeoutError: Kafka cannot be used.
            TopicsMissingError: there is no topic for markers and we may not make it.
        """
        [dead_letters] = [topic for topic in settings.topics if topic.name == settings.dlq_topic]
        done = done_topic(dead_letters)
        producer = make_producer(client, max_request_bytes=settings.max_record_bytes)
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                await ensure_topics(client, [done])
                await producer.start()
        except BaseException:
            await stop_producer(producer)
            raise
        return cls(producer, done.name)

    async def write(self, letter: DeadLetter, records: list[Record]) -> None:
        """Write the records of a letter, and when they are confirmed its marker.

        Raises:
            KafkaError, TimeoutError: Kafka does not confirm it.
        """
        for record in records:
            await self._send(record.topic, record.key, record.value, record.headers, record.timestamp_ms)
        done = marker(letter, "replayed")
        await self._send(self._done, done.key, done.value, [], None)

    async def close(self) -> None:
        """Disconnect; everything is confirmed by then, or reported as not."""
        await stop_producer(self._producer)

    async def _send(
        self, topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]], timestamp_ms: int | None
    ) -> None:
        async with asyncio.timeout(CONFIRM_TIMEOUT_S):
            partitions = sorted(await self._producer.partitions_for(topic))
            await self._producer.send_and_wait(
                topic,
                value,
                key,
                partition=partitions[partition_of(key, len(partitions))],
                timestamp_ms=timestamp_ms,
                headers=headers,
            )
