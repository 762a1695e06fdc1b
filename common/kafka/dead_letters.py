"""The dead-letter topic as the commands see it: what lies there, what of it is done, and how to mark it so.

Kafka deletes no single record. So that a letter which was replayed or dropped is not shown again, a marker is written
to a topic beside: `<dead-letter topic>.done`, compacted, its key naming the letter by partition, offset and timestamp.
(The timestamp, because a topic that was deleted and made anew gives the same offsets to other letters.) A marker
outlives its letter by two weeks, since Kafka deletes whole segments; then it is deleted too. So they stay few.
"""

from __future__ import annotations

import contextlib
import fnmatch
import time
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson
from aiokafka import ConsumerRecord

from common.dead_letter_filter import INGRESS, DeadLetterFilter
from common.kafka.clients import ClientArguments
from common.kafka.reader import ReportPosition, TopicReader
from common.kafka.recent import record_at
from common.text import text_of
from common.topic import Topic

_MARKERS_KEPT_LONGER_MS = 14 * 86_400_000


class DeadLetter:
    """A dead letter."""

    __slots__ = ("_content", "headers", "outcome", "record")

    def __init__(self, record: ConsumerRecord) -> None:
        self.record = record
        self.outcome: str | None = None
        """What was done with it, `replayed` or `dropped`; None while it is open."""
        self.headers: dict[str, str] = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
        """Of a name that occurs more than once, the last: that of who wrote the letter."""
        self._content: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """`partition-offset`, as people name it."""
        return f"{self.record.partition}-{self.record.offset}"

    @property
    def marker_key(self) -> bytes:
        """Key of the marker that says it is done."""
        return f"{self.record.partition}:{self.record.offset}:{self.record.timestamp}".encode()

    @property
    def group(self) -> str:
        """Consumer group that gave it up, or INGRESS."""
        return self.headers.get("group", INGRESS)

    @property
    def reason(self) -> str:
        """Why, in one word."""
        return self.headers.get("reason", "")

    @property
    def content(self) -> dict[str, Any]:
        """Its value where that is a JSON object, else empty."""
        if self._content is None:
            try:
                found = orjson.loads(self.record.value or b"")
            except orjson.JSONDecodeError:
                found = None
            self._content = found if isinstance(found, dict) else {}
        return self._content

    @property
    def type(self) -> str:
        """Type of its event, empty where it is none."""
        return text_of(self.content.get("type"))

    @property
    def command(self) -> str:
        """Callback command, empty where it is not known."""
        query = {name.lower(): value for name, value in parse_qsl(self.headers.get("query", ""))}
        command = text_of(self.content.get("callbackcommand"))
        return command or query.get("callbackcommand") or query.get("command") or ""

    @property
    def subject(self) -> str:
        """Account or group that it is about, where it is an event; else the SdkAppid."""
        return text_of(self.content.get("subject")) or (self.record.key or b"").decode(errors="replace")

    def is_about(self, account: str) -> bool:
        """Whether the account or group occurs in it: as its key, or anywhere in what is no event."""
        if self.subject == account:
            return True
        return self.group == INGRESS and account.encode() in (self.record.value or b"")

    def fits(self, chosen: DeadLetterFilter) -> bool:
        """Whether it is one of those that are meant."""
        at = self.record.timestamp
        exact = ((chosen.name, self.name), (chosen.group, self.group), (chosen.reason, self.reason))
        return (
            all(wanted is None or wanted == found for wanted, found in exact)
            and (chosen.since_ms is None or at >= chosen.since_ms)
            and (chosen.until_ms is None or at < chosen.until_ms)
            and (chosen.type is None or fnmatch.fnmatchcase(self.type, chosen.type))
            and (chosen.command is None or fnmatch.fnmatchcase(self.command, chosen.command))
            and (chosen.account is None or self.is_about(chosen.account))
        )


class Marker(NamedTuple):
    """What is written to the topic of markers."""

    key: bytes
    value: bytes


def marker(letter: DeadLetter, outcome: str) -> Marker:
    """The marker that a letter is done; `outcome`: `replayed` or `dropped`."""
    content = {"outcome": outcome, "group": letter.group, "time_ms": int(time.time() * 1000)}
    return Marker(letter.marker_key, orjson.dumps(content))


def _outcome(marker_value: bytes) -> str:
    try:
        return text_of(orjson.loads(marker_value)["outcome"]) or "done"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return "done"  # Somebody else wrote it.


def done_topic(dead_letters: Topic) -> Topic:
    """The topic of the markers for a dead-letter topic, as we create it."""
    retention_ms = int(dead_letters.configs.get("retention.ms", "-1"))
    kept_ms = retention_ms + _MARKERS_KEPT_LONGER_MS if retention_ms >= 0 else -1
    return Topic(
        f"{dead_letters.name}.done",
        dead_letters.partitions,
        dead_letters.replication,
        {"cleanup.policy": "compact,delete", "retention.ms": str(kept_ms)},
    )


async def open_letters(
    arguments: ClientArguments,
    topic: str,
    chosen: DeadLetterFilter,
    *,
    report: ReportPosition = lambda _read, _total: None,
    done_too: bool = False,
) -> AsyncGenerator[DeadLetter, None]:
    """The letters that are meant and not done yet, those of a partition in their order, up to the end of now.

    Args:
        arguments: of every client, from the settings.
        topic: the dead-letter topic. Nothing is there where it does not exist.
        chosen: which are meant.
        report: told how far it is.
        done_too: give those that are done as well.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
    """
    outcomes = await _outcomes(arguments, topic)
    async with contextlib.aclosing(read_all(arguments, topic, report)) as records:
        async for record in records:
            letter = DeadLetter(record)
            letter.outcome = outcomes.get(letter.marker_key)
            if (done_too or letter.outcome is None) and letter.fits(chosen):
                yield letter


async def letter_at(arguments: ClientArguments, topic: str, name: str) -> DeadLetter | None:
    """The letter of that name, open or done; None where there is none, or no longer.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
    """
    partition, _, offset = name.partition("-")
    record = await record_at(arguments, topic, int(partition), int(offset))
    if record is None:
        return None
    letter = DeadLetter(record)
    letter.outcome = (await _outcomes(arguments, topic)).get(letter.marker_key)
    return letter


async def _outcomes(arguments: ClientArguments, topic: str) -> dict[bytes, str | None]:
    """What became of letters, by the keys of their markers; None, or absent: they are open."""
    outcomes: dict[bytes, str | None] = {}
    async with contextlib.aclosing(read_all(arguments, f"{topic}.done")) as markers:
        async for record in markers:
            outcomes[record.key] = None if record.value is None else _outcome(record.value)
    return outcomes


async def read_all(
    arguments: ClientArguments, topic: str, report: ReportPosition = lambda _read, _total: None
) -> AsyncGenerator[ConsumerRecord, None]:
    """All records of a topic, one partition after the other, each up to its end of now; none if there is no topic.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
    """
    async with TopicReader(arguments, topic, report=report) as reader, contextlib.aclosing(reader.batches()) as batches:
        async for batch in batches:
            for record in batch:
                yield record
