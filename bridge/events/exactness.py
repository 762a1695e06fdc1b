"""What makes an event exact, and what makes it weak: derived once, for the reference and for whoever checks it."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from bridge.events.base import Data, EventTimePages
from bridge.events.introspection import Field, fields_along, item_type

_OF_THE_ENVELOPE = {"event_time": "EventTime", "platform": "OptPlatform"}


class IdentityField(NamedTuple):
    """A part of an identity."""

    path: str
    """Ours, from the top of the data, e.g. `msg_seq_list.msg_seq`; or `event_time` (the body's EventTime) or
    `platform` (the URL's OptPlatform)."""
    platform_names: tuple[str, ...]
    """The platform's from the top of the body, e.g. `MsgSeqList[].MsgSeq`; more than one where pages differ."""
    declared: tuple[Field, ...]
    """The fields along the path; none of the envelope."""
    is_optional: bool
    """Whether it counts only where it is present; without any other the event is weak."""
    needs_ms: bool
    """Whether it is EventTime, and counts as absent where it is in seconds."""

    @property
    def in_words(self) -> str:
        """Its names, for the reference."""
        first, *others = (f"`{name}`" for name in self.platform_names)
        return f"{first} (or {', '.join(others)})" if others else first

    @property
    def lack(self) -> str:
        """In words, when it does not count."""
        return f"{self.in_words} is absent" + (" or in seconds" if self.needs_ms else "")


class Exactness(NamedTuple):
    """What the reference says of the identity of a command's events.

    A field counts as absent where it is empty, null or not understood, of a list where one of its items lacks it. What
    is not understood in an optional one makes an event weak, too.
    """

    identities: tuple[tuple[IdentityField, ...], ...]
    """Each is unique, the first that has all it requires is taken; none where every callback counts as a new event."""
    event_time: EventTimePages
    """Where EventTime is documented."""

    @property
    def label(self) -> str:
        """In short: `exact`, `exact with EventTime`, `weak`, or `weak: no page has EventTime`."""
        if not self.identities:
            return "weak"
        if not all(any(field.needs_ms for field in identity) for identity in self.identities):
            return "exact"
        return "weak: no page has EventTime" if self.event_time is EventTimePages.NONE else "exact with EventTime"

    @property
    def weak_where(self) -> tuple[str, ...]:
        """What makes an event weak: so many clauses, each of which is enough; none where every event is."""
        if not self.identities:
            return ()
        required = [[field for field in identity if not field.is_optional] for identity in self.identities]
        common = [field for field in required[0] if all(field in fields for fields in required)]
        clauses = [field.lack for field in common]
        own = [[field for field in fields if field not in common] for fields in required]
        if all(own):
            clauses.append(", and ".join(_any_lack(fields) for fields in own))
        return tuple(clauses)


def _any_lack(fields: list[IdentityField]) -> str:
    if len(fields) == 1:
        return fields[0].lack
    names = ", ".join(field.in_words for field in fields)
    in_seconds = ", or `EventTime` is in seconds" if any(field.needs_ms for field in fields) else ""
    return f"one of {names} is absent{in_seconds}"


def exactness_of(data: type[Data]) -> Exactness:
    """What is to be said of the events of this class."""
    callback = data.callback
    later = (f"{callback.identity_later}?",) if callback.identity_later else ()
    paths = [(*callback.identity, *later), callback.identity_otherwise] if callback.exact else []
    return Exactness(
        tuple(tuple(_field(data, path) for path in identity) for identity in paths if identity),
        callback.event_time,
    )


def _field(data: type[Data], path: str) -> IdentityField:
    name = path.removesuffix("?")
    declared = () if name in _OF_THE_ENVELOPE else tuple(fields_along(data, name))
    names = _platform_names(declared) if declared else (_OF_THE_ENVELOPE[name],)
    return IdentityField(name, names, declared, path.endswith("?"), path == "event_time")


def _platform_names(declared: tuple[Field, ...]) -> tuple[str, ...]:
    *outer, last = declared
    ways = [[f"{name}{'[].' if item_type(field.type) else '.'}" for name in field.names] for field in outer]
    return tuple("".join(way) for way in product(*ways, last.names))
