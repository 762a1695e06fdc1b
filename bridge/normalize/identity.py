"""What an event is about, and what makes it the same as another: its subject and its id."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from bridge.events import Data, registry

SUBJECT_FIELDS = ("GroupId", "GroupID", "group_id", "To_Account", "to_account", "Report_Account", "From_Account")
"""Where a body most likely names whom it is about, best first."""

_pack = msgspec.msgpack.Encoder().encode


def event_id(values: tuple[Any, ...]) -> str:
    """The id of the event that has these values and no other has, as 32 hexadecimal digits."""
    # MessagePack puts the length in front of each value: ("ab", "c") and ("a", "bc") must differ.
    return hashlib.blake2b(_pack(values), digest_size=16).hexdigest()


def best_subject(fields: dict[str, Any]) -> str | None:
    """The account or group that a body without an entry is most likely about, searching nested objects last."""
    for name in SUBJECT_FIELDS:
        if _is_name(fields.get(name)):
            return str(fields[name])
    for name, value in fields.items():
        if name.lower().endswith("_account") and _is_name(value):
            return str(value)
    for value in fields.values():
        nested = value[0] if isinstance(value, list) and value else value
        if isinstance(nested, dict) and (subject := best_subject(nested)):
            return subject
    return None


def fallback_subject(entry: registry.Entry, data: Data) -> str | None:
    """The account or group that typed data is about, where the documented fields name none; None if it is the app."""
    return best_subject(msgspec.to_builtins(data)) if entry.callback.subject else None


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""
