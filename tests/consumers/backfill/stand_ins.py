"""An archive and a topic in memory, for what compares the two."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import orjson

from bridge.events.base import SCHEMA_BASE
from consumers.archive.archive import MessageArchive
from consumers.archive.errors import ArchiveError
from consumers.archive.hour import ArchiveWindow, Hour
from consumers.archive.lines import HourReport
from consumers.archive.message import ArchivedChat, ArchivedMessage, read_message
from consumers.backfill.event import EventMaker
from consumers.backfill.hour_comparison import HourComparison
from consumers.backfill.hour_count import HourCount
from consumers.backfill.identity import DOCUMENTED, CallbackFields
from consumers.backfill.known_messages import FoundIn, KnownMessages
from consumers.backfill.publishing import BackfillPublisher
from consumers.backfill.topic_index import TopicIndex
from consumers.backfill.topic_messages import message_in_event
from consumers.worker import OutgoingRecord
from tests.support.callbacks import APP_ID
from tests.support.events import records_of

HOUR = Hour.parse("2025112818")
START_S = int(HOUR.start.timestamp())


def c2c_line(number: int, **changes: Any) -> dict[str, Any]:
    """A one-to-one message, as the archive has it."""
    people = {"From_Account": "ann", "To_Account": f"user{number % 5}"}
    numbers = {"MsgSeq": number, "MsgRandom": number * 7919, "MsgTimestamp": START_S + number % 3600}
    return {**people, **numbers, "MsgBody": [{"MsgType": "TIMTextElem"}], **changes}


def group_line(number: int, **changes: Any) -> dict[str, Any]:
    """A message of a group, as the documented sample has it: without Random."""
    names = {"From_Account": "ann", "GroupId": f"g{number % 5}"}
    return {**names, "MsgSeq": number, "MsgTimestamp": START_S + number % 3600, "MsgBody": [], **changes}


def callback_event(line: dict[str, Any], **changes: Any) -> bytes:
    """The event on the topic of the message of a line, as the ingress makes it of a whole callback."""
    body = {("MsgTime" if name == "MsgTimestamp" else name): value for name, value in line.items()}
    if "To_Account" in line:
        key = f"{line['MsgSeq']}_{line['MsgRandom']}_{line['MsgTimestamp']}"
        body |= {"MsgKey": key, "SendMsgResult": 0, "UnreadMsgNum": 3}
        command = "C2C.CallbackAfterSendMsg"
    else:
        body |= {"Random": line["MsgSeq"] * 31}
        command = "Group.CallbackAfterSendMsg"
    whole = {name: value for name, value in {**body, **changes}.items() if value is not None}
    (record,) = records_of(command, whole)
    return record.value


def value_of(record: OutgoingRecord) -> bytes:
    """The value of a record that is no tombstone."""
    assert record.value is not None
    return record.value


class Archive:
    """The archive of an app, with one hour."""

    def __init__(self, *batches: Sequence[dict[str, Any]], chat: ArchivedChat = "c2c") -> None:
        self.error: ArchiveError | None = None
        self.has_file = True
        self.report = HourReport()
        self._chat = chat
        self._batches = batches

    @property
    def itself(self) -> MessageArchive:
        """Under the type that it stands in for."""
        return cast(MessageArchive, self)

    @contextlib.asynccontextmanager
    async def hour(self, _hour: Hour, _chat: ArchivedChat) -> AsyncIterator[Archive]:
        if self.error is not None:
            raise self.error
        yield self

    async def batches(self) -> AsyncIterator[list[ArchivedMessage]]:
        for batch in self._batches:
            yield [read_message(orjson.dumps(line), self._chat, APP_ID) for line in batch]


class Index:
    """What the topic has."""

    def __init__(self, known: KnownMessages) -> None:
        self.known = known
        self.kept_since_s = 0
        self.look_at: PublishedTopic | None = None
        """What is published there is found when the topic is read on."""
        self.late: list[bytes] = []
        """Events that come before the topic is read on."""
        self.form_of_app: CallbackFields = DOCUMENTED
        self.is_wide = False
        self.span = (START_S - 3600, START_S + 7200)

    @property
    def itself(self) -> TopicIndex:
        """Under the type that it stands in for."""
        return cast(TopicIndex, self)

    def add(self, values: Iterable[bytes], place: FoundIn = FoundIn.TOPIC) -> None:
        """These are there."""
        for value in values:
            found = message_in_event(value)
            if found is not None:
                self.known.add(found.keys, place)

    def covers(self, time_s: int) -> bool:
        return self.is_wide or self.span[0] <= time_s <= self.span[1]

    def form(self, _app_id: str) -> CallbackFields:
        return self.form_of_app

    @property
    def kept_since(self) -> str:
        return f"all of them are there since {self.kept_since_s}"

    def is_kept_since(self, time_s: int) -> bool:
        return self.kept_since_s <= time_s

    async def catch_up(self) -> None:
        self.add(self.late)
        self.late.clear()
        if self.look_at is not None:
            self.add(value_of(record) for record in self.look_at.records)

    async def widen(self) -> None:
        self.is_wide = True


class PublishedTopic:
    """Takes what is published, as a producer."""

    def __init__(self, *, max_bytes: int = 2**31) -> None:
        self.records: list[OutgoingRecord] = []
        self.max_bytes = max_bytes
        self.errors: list[Exception] = []
        """Raised by the next attempts, one each."""
        self.written_before_error: list[int] = []
        """How many records each of these takes before."""
        self.takes_part = False
        """Whether of an attempt with a record that is too large the others are taken, as of other partitions."""

    async def publish(self, _topic: str, records: Iterable[OutgoingRecord]) -> None:
        from aiokafka.errors import MessageSizeTooLargeError

        some = list(records)
        if self.errors:
            self.records += some[: self.written_before_error.pop(0) if self.written_before_error else 0]
            raise self.errors.pop(0)
        if any(len(value_of(one)) > self.max_bytes for one in some):
            self.records += [one for one in some if len(value_of(one)) <= self.max_bytes] if self.takes_part else []
            raise MessageSizeTooLargeError
        self.records += some

    @property
    def events(self) -> list[dict[str, Any]]:
        return [orjson.loads(value_of(record)) for record in self.records]


@contextlib.contextmanager
def index_in(folder: Path) -> Iterator[Index]:
    """An empty one."""
    with KnownMessages(folder) as known:
        yield Index(known)


def comparison(
    index: Index,
    topic: PublishedTopic | None = None,
    *,
    despite_retention: bool = False,
    drop_fields: Iterable[str] = (),
) -> HourComparison:
    """What compares archives with an index, and publishes where there is a topic."""
    publisher = None
    if topic is not None:
        publisher = BackfillPublisher(topic, "im.events", events_per_s=1e6, waits_for=lambda _: None)
    return HourComparison(
        index.itself,
        EventMaker(schema_base=SCHEMA_BASE, drop_fields=drop_fields),
        publisher,
        waits_for=lambda _: None,
        despite_retention=despite_retention,
    )


async def compare(
    index: Index,
    archive: Archive,
    chat: ArchivedChat = "c2c",
    topic: PublishedTopic | None = None,
    window: ArchiveWindow | None = None,
    *,
    despite_retention: bool = False,
) -> HourCount:
    """What is found of the hour of an archive."""
    comparing = comparison(index, topic, despite_retention=despite_retention)
    return await comparing.compare(archive.itself, APP_ID, chat, HOUR, window)


def id_of(value: bytes) -> str:
    """The id of an event."""
    return str(orjson.loads(value)["id"])
