"""What of an event decides a badge, read in one pass over its JSON and no further than needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, get_args

import msgspec
from aiokafka import ConsumerRecord

from bridge.events import InvalidEventError
from common.timestamps import unix_ms
from consumers.badges.store import NO_COUNT, Events, Owner
from consumers.event_type import LARGE_BYTES, leading_type

MAX_AHEAD = timedelta(minutes=5)
"""An event whose time is later than its receipt by more has a wrong clock behind it."""

BACKFILLED_SLACK_MS = 10_000
"""How much later than the second of its message a callback may have come that was not there. A count that is older than
that may be one from before the message. To take a newer one for such costs a call of `reconcile`, no more."""

_BadgeType = Literal[
    "im.c2c.message.recalled",
    "im.c2c.message.sent",
    "im.c2c.conversation.read",
    "im.c2c.all_conversations.read",
]
TYPES: frozenset[str] = frozenset(get_args(_BadgeType))
"""Of the events that decide a badge."""
_SENT: _BadgeType = "im.c2c.message.sent"
_ALL_READ: _BadgeType = "im.c2c.all_conversations.read"
_TO_RECEIVER = frozenset({"im.c2c.message.recalled", _SENT})

MAX_COUNT = 2**31 - 1
"""A larger count is none: the platform's are of 32 bits."""

_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class _Data(msgspec.Struct, gc=False):
    to_account: str | None = None
    report_account: str | None = None
    unread_total: int | float | None = None
    send_msg_result: int | float | None = None


class BadgeEvent(msgspec.Struct, gc=False):
    """The fields of an event that decide a badge, with the names and in the order that they have in the event.

    In that order the decoder finds each at its first look.
    """

    id: str
    source: str
    type: _BadgeType
    subject: str
    time: _Instant
    receivedtime: _Instant
    data: _Data
    backfilled: bool | None = None

    @property
    def owner(self) -> Owner:
        """Whose badge it is about, if it is about its subject."""
        return Owner(app_id_of(self.source), self.subject)


class TracedBadgeEvent(BadgeEvent, gc=False, kw_only=True):
    """One whose record says which trace it belongs to: where it came from, for the records that are made of it."""

    topic: str
    partition: int
    offset: int
    headers: Sequence[tuple[str, bytes]]

    @classmethod
    def of(cls, event: BadgeEvent, record: ConsumerRecord) -> TracedBadgeEvent:
        """The event that a record carried."""
        return cls(
            **{name: getattr(event, name) for name in event.__struct_fields__},
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            headers=record.headers,
        )


class _TypeOnly(msgspec.Struct, gc=False):
    type: str


def app_id_of(source: str) -> str:
    """The app whose event has this source."""
    return source.rpartition("/")[2]


_decode_event = msgspec.json.Decoder(BadgeEvent).decode
_decode_type = msgspec.json.Decoder(_TypeOnly).decode


def read_badge_event(value: bytes | None) -> BadgeEvent | None:
    """The part of an event that decides a badge; None if its type decides none.

    Args:
        value: of a record on the topic of events.

    Raises:
        InvalidEventError: it is no event.
    """
    if value is None:
        raise InvalidEventError("the record has no value")
    kind = leading_type(value)
    if kind is not None and kind not in TYPES:
        return None
    try:
        return _decode_event(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        try:
            if _decode_type(value).type not in TYPES:
                return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        raise InvalidEventError(f"no event of this contract: {error}") from error


def read_badge_events(values: Sequence[bytes]) -> list[BadgeEvent | None]:
    """What `read_badge_event` gives for each of some values, at less than a call for each.

    Raises:
        InvalidEventError: one of them is no event.
        TypeError: one of them is None.
    """
    if max(map(len, values), default=0) >= LARGE_BYTES:
        return list(map(_read_of_any_type, values))
    events: list[BadgeEvent | None] = []
    try:
        events.extend(map(_decode_event, values))
    except (msgspec.DecodeError, UnicodeDecodeError):  # Those before it are in the list.
        events.extend(map(_read_of_any_type, values[len(events) :]))
    return events


def _read_of_any_type(value: bytes) -> BadgeEvent | None:
    """`read_badge_event`, where there are events of other types: to fail on one costs six times its type."""
    try:
        if len(value) < LARGE_BYTES and _decode_type(value).type not in TYPES:
            return None
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return read_badge_event(value)


def collect(batch: Iterable[BadgeEvent]) -> dict[Owner, Events]:
    """The events of each badge, in the form that `BadgeStore.update` takes.

    An event that can change no badge is left out: one about somebody else than its subject, one of a message that was
    not delivered, one with a negative count, which is the platform's sign for a failed delivery. One of the platform's
    archive has no count: it makes the badge stale, unless a newer event has one.
    """
    events: dict[Owner, Events] = {}
    of_owner = events.setdefault
    last_source = app_id = ""
    for event in batch:
        data, kind, subject = event.data, event.type, event.subject
        if (data.to_account if kind in _TO_RECEIVER else data.report_account) != subject:
            continue
        unread: Any = None if kind == _ALL_READ else data.unread_total
        if type(unread) is float:  # Something on the way may write 7 as 7.0; 7.5 is no count.
            unread = int(unread) if unread.is_integer() else None
        if (unread is not None and unread < 0) or (kind == _SENT and data.send_msg_result):
            continue
        time, received = event.time, event.receivedtime
        by_receipt = time >= received and (time == received or time - received > MAX_AHEAD)
        time_ms = unix_ms(received if by_receipt else time)
        if event.backfilled and not by_receipt:
            time_ms += BACKFILLED_SLACK_MS
        if event.source != last_source:
            last_source = event.source
            app_id = app_id_of(last_source)
        change = [time_ms, event.id, NO_COUNT if unread is None or unread > MAX_COUNT else unread, by_receipt]
        before = of_owner(Owner(app_id, subject), change)
        if before is not change:
            before += change
    return events
