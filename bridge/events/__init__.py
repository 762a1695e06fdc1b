"""The event contract: the one part of the bridge that downstream code uses.

from bridge.events import MessageRecalled, parse_event

event = parse_event(message.value)
if isinstance(event.data, MessageRecalled):
    print(event.data.to_account, event.data.msg_key)

The classes of the other families are in their modules, e.g. `bridge.events.group.MessageSent`.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bridge.events import bot, c2c, call, group, official_account, operations, push, recording, relations, room, user
from bridge.events.base import Callback, Data, Event, Part, Reply
from bridge.events.c2c import AllConversationsRead, ConversationRead, GroupRead, MessageRecalled, MessageSent

UNKNOWN_TYPE = "im.unknown"
"""Type of the event of a command that has no entry yet; its data is the body as the platform sent it."""


def _entries(base: type[Data]) -> Iterator[type[Data]]:
    for data in base.__subclasses__():
        if "callback" in vars(data):
            yield data
        yield from _entries(data)


DATA_TYPES: dict[str, type[Data]] = {data.callback.type: data for data in _entries(Data)}
"""Event type → class of its data."""


class _Envelope(Event, frozen=True, kw_only=True):
    data: msgspec.Raw = msgspec.Raw(b"null")


_envelope = msgspec.json.Decoder(_Envelope)
_data = {name: msgspec.json.Decoder(data) for name, data in DATA_TYPES.items()}
_untyped = msgspec.json.Decoder()


class InvalidEventError(ValueError):
    """The value is no event of this contract. The message says where and why."""


def parse_event(value: bytes) -> Event:
    """Read the value of a record of the events topic.

    `data` of the result is an instance of its class in `DATA_TYPES`, or what plain JSON decoding gives where the type
    is not known to this version.

    Raises:
        InvalidEventError: the value is not JSON, lacks an attribute, or has one of a wrong type.
    """
    try:
        envelope = _envelope.decode(value)
        data = _data.get(envelope.type, _untyped).decode(envelope.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEventError(f"no event of this contract: {error}") from error
    attributes = {name: getattr(envelope, name) for name in Event.__struct_fields__}
    return Event(**attributes | {"data": data})


__all__ = [
    "DATA_TYPES",
    "UNKNOWN_TYPE",
    "AllConversationsRead",
    "Callback",
    "ConversationRead",
    "Data",
    "Event",
    "GroupRead",
    "InvalidEventError",
    "MessageRecalled",
    "MessageSent",
    "Part",
    "Reply",
    "bot",
    "c2c",
    "call",
    "group",
    "official_account",
    "operations",
    "parse_event",
    "push",
    "recording",
    "relations",
    "room",
    "user",
]
