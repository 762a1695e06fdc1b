"""What of an event decides a badge, read in one pass over its JSON and no further than needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from aiokafka import ConsumerRecord

from bridge.events import AllConversationsRead, ConversationRead, InvalidEventError, MessageRecalled, MessageSent
from common.timestamps import unix_ms
from consumers.badges.store import NO_COUNT, Events, Owner
from consumers.event_type import LARGE_BYTES, leading_type

MAX_AHEAD = timedelta(minutes=5)
"""An event whose time is later than its receipt by more has a wrong clock behind it."""

BACKFILLED_SLACK_MS = 10_000
"""How much later than the second of its message a callback may have come that was not there. A count that is older than
that may be one from before the message. To take a newer one for such costs a call of `reconcile`, no more."""

_RECALLED, _SENT = MessageRecalled.callback.type, MessageSent.callback.type
_READ, _ALL_READ = ConversationRead.callback.type, AllConversationsRead.callback.type
_TYPES = frozenset({_RECALLED, _SENT, _READ, _ALL_READ})
_TO_RECEIVER = frozenset({_RECALLED, _SENT})

MAX_COUNT = 2**31 - 1
"""A larger count is none: the platform's are of 32 bits."""

_Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class _Data(msgspec.Struct, gc=False):
    to_account: str | None = None
    report_account: str | None = None
    unread_total: int | float | None = None
    send_msg_result: int | float | None = None


class BadgeEvent(msgspec.Struct, gc=False):
    """The fields of an event that decide a badge, with the names that they have in the event."""

    type: str
    id: str
    source: str
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
    if kind is not None and kind not in _TYPES:
        return None
    try:
        event = _decode_event(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # The fields of other types may have the same names and other forms.
        try:
            if _decode_type(value).type not in _TYPES:
                return None
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        raise InvalidEventError(f"no event of this contract: {error}") from error
    return event if event.type in _TYPES else None


def read_badge_events(values: Sequence[bytes]) -> list[BadgeEvent | None]:
    """What `read_badge_event` gives for each of some values, at less than a call for each.

    Raises:
        InvalidEventError: one of them is no event.
        TypeError: one of them is None.
    """
    if max(map(len, values), default=0) >= LARGE_BYTES:
        return list(map(read_badge_event, values))
    decoding = map(_decode_event, values)
    events: list[BadgeEvent | None] = []
    while len(events) < len(values):
        try:
            events.extend(decoding)
        except (msgspec.DecodeError, UnicodeDecodeError):  # Those before it are in the list.
            events.append(read_badge_event(values[len(events)]))
    return [event if event is not None and event.type in _TYPES else None for event in events]


def collect(batch: Iterable[BadgeEvent]) -> dict[Owner, Events]:
    """The events of each badge, in the form that `BadgeStore.update` takes.

    An event that can change no badge is left out: one about somebody else than its subject, one of a message that was
    not delivered, one with a negative count, which is the platform's sign for a failed delivery. One of the platform's
    archive has no count: it makes the badge stale, unless a newer event has one.
    """
    events: dict[Owner, Events] = {}
    app_ids: dict[str, str] = {}
    for event in batch:
        data, kind, subject = event.data, event.type, event.subject
        if (data.to_account if kind in _TO_RECEIVER else data.report_account) != subject:
            continue
        unread = None if kind == _ALL_READ else data.unread_total
        if isinstance(unread, float):  # Something on the way may write 7 as 7.0; 7.5 is no count.
            unread = int(unread) if unread.is_integer() else None
        if (unread is not None and unread < 0) or (kind == _SENT and data.send_msg_result):
            continue
        time, received = event.time, event.receivedtime
        by_receipt = time >= received and (time == received or time - received > MAX_AHEAD)
        time_ms = unix_ms(received if by_receipt else time)
        if event.backfilled and not by_receipt:
            time_ms += BACKFILLED_SLACK_MS
        source = event.source
        if (app_id := app_ids.get(source)) is None:
            app_id = app_ids[source] = app_id_of(source)
        owner = Owner(app_id, subject)
        if (of_owner := events.get(owner)) is None:
            of_owner = events[owner] = []
        of_owner += (time_ms, event.id, NO_COUNT if unread is None or unread > MAX_COUNT else unread, by_receipt)
    return events
