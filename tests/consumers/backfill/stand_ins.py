"""An archive and a topic in memory, for what compares the two."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import orjson

from consumers.archive.archive import MessageArchive
from consumers.archive.errors import ArchiveError
from consumers.archive.hour import Hour
from consumers.archive.lines import HourReport
from consumers.archive.message import ArchivedChat, ArchivedMessage, read_message
from consumers.backfill.identity import DOCUMENTED, CallbackFields
from consumers.backfill.known_messages import FoundIn, KnownMessages
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

    def is_kept_since(self, time_s: int) -> bool:
        return self.kept_since_s <= time_s

    async def catch_up(self) -> None:
        self.add(self.late)
        self.late.clear()

    async def widen(self) -> None:
        self.is_wide = True


class PublishedTopic:
    """Takes what is published, as a producer."""

    def __init__(self, *, max_bytes: int = 2**31) -> None:
        self.records: list[OutgoingRecord] = []
        self.max_bytes = max_bytes
        self.errors: list[Exception] = []
        """Raised by the next attempts, one each."""

    async def publish(self, _topic: str, records: Iterable[OutgoingRecord]) -> None:
        from aiokafka.errors import MessageSizeTooLargeError

        if self.errors:
            raise self.errors.pop(0)
        some = list(records)
        if any(len(value_of(one)) > self.max_bytes for one in some):
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
