"""Brings a line that is not as documented into the documented form, as far as the ingress does so with a callback.

| in the line | becomes |
| --- | --- |
| a name in another case, `MsgTimeStamp`, or the callback's `MsgTime` | the documented name |
| an account or a group that is a number | its digits as text |
| a number as text, with zeros in front, as `7.0` | the number |
| `MsgTimestamp` in milliseconds | seconds |
| no `MsgSeq`, `MsgRandom` or `MsgTimestamp`, but a `MsgKey`, which is made of them | what the key says |
"""

from __future__ import annotations

import re
from typing import Any

_NAMES = {
    name.lower(): name
    for name in (
        *("From_Account", "To_Account", "GroupId", "TopicId", "MsgTimestamp", "MsgSeq", "MsgRandom", "Random"),
        *("MsgKey", "MsgBody", "MsgFromPlatform", "ClientIP", "CloudCustomData"),
    )
} | {"msgtime": "MsgTimestamp"}
_PEOPLE = ("From_Account", "To_Account", "GroupId", "TopicId")
_NUMBERS = ("MsgTimestamp", "MsgSeq", "MsgRandom", "Random")
_OF_KEY = ("MsgSeq", "MsgRandom", "MsgTimestamp")
_MS_FROM = 10**12
"""No second of any message is that large, and no millisecond since 2001 is smaller."""
_WHOLE = re.compile(r"(-?[0-9]{1,40})(?:\.0{1,20})?")
_MSG_KEY = re.compile(r"(-?[0-9]{1,18})_(-?[0-9]{1,18})_([0-9]{1,18})")
LEAST, GREATEST = -(2**63), 2**63 - 1
"""Of the numbers that every reader of JSON takes."""


def whole(value: Any) -> int | None:
    """The whole number of 64 bits that a value stands for, however it is written; else None."""
    if isinstance(value, str) and (found := _WHOLE.fullmatch(value)):
        value = int(found[1])
    elif isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and LEAST <= value <= GREATEST else None


def name_of(value: Any) -> str | None:
    """The account, group or topic that a value names; else None."""
    if isinstance(value, str):
        return value
    number = whole(value)
    return None if number is None else str(number)


def unsigned(number: int) -> int:
    """A number of 32 bits as the platform documents it: a writer that knows signed ones only makes it negative."""
    return number + 2**32 if -(2**31) <= number < 0 else number


def parts_of_key(msg_key: str) -> tuple[int, int, int] | None:
    """MsgSeq, MsgRandom and second of a MsgKey; None where it has another form."""
    found = _MSG_KEY.fullmatch(msg_key)
    return None if found is None else (unsigned(int(found[1])), unsigned(int(found[2])), int(found[3]))


def documented(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a line under their documented names and in their documented types, where they have such a form."""
    found = dict(fields)
    for name in fields:
        documented_name = _NAMES.get(name.lower(), name)
        if documented_name != name and found.get(documented_name) is None:
            found[documented_name] = found.pop(name)
    for name in _PEOPLE:
        if (text := name_of(found.get(name))) is not None:
            found[name] = text
    for name in _NUMBERS:
        if (number := whole(found.get(name))) is not None:
            found[name] = number // 1000 if name == "MsgTimestamp" and number >= _MS_FROM else number
    key = found.get("MsgKey")
    if isinstance(key, str) and (parts := parts_of_key(key)) is not None:
        for name, number in zip(_OF_KEY, parts, strict=True):
            if found.get(name) is None:
                found[name] = number
    return found
