"""What the class of an object in a body says of its fields: the platform's names, our names, types and meanings."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

from bridge.events.base import Part


@dataclass(frozen=True, slots=True)
class Field:
    """A documented field of an object in a body."""

    tencent: str
    """The platform's name."""
    others: tuple[str, ...]
    """Names that other versions of the documentation have for it."""
    name: str
    """Our name."""
    type: Any
    """Without None: `str`, `int`, `bool`, `int | str`, a `Part`, `list[…]`, `Any`."""
    meaning: str
    optional: bool
    """Whether it may be absent by the documentation, or some version of it does not have it."""
    has_two_forms: bool
    """Whether the documentation prints a number here and its digits as text there, or a list and its only item."""

    @property
    def names(self) -> tuple[str, ...]:
        """All the platform's names, the preferred one first."""
        return (self.tencent, *self.others)


@cache
def fields_of(part: type[Part]) -> tuple[Field, ...]:
    """The documented fields of an object, in the order of the class."""
    found = []
    for name, annotation in typing.get_type_hints(part, include_extras=True).items():
        meta = next((item for item in getattr(annotation, "__metadata__", ()) if isinstance(item, msgspec.Meta)), None)
        if meta is not None and meta.extra:
            declared = without_none(typing.get_args(annotation)[0])
            description = meta.description or ""
            extra = meta.extra
            tencent = extra["tencent"]
            two_forms = extra["has_two_forms"] or _is_identifier(tencent, declared)
            found.append(Field(tencent, extra["others"], name, declared, description, extra["optional"], two_forms))
    return tuple(found)


IDENTIFIERS = ("_Account", "UserId", "RoomId", "RoomIdList", "CallId")
"""How the platform's names of accounts, rooms and calls end. Tables call them text; of many, a sample has a number."""


def _is_identifier(tencent: str, declared: Any) -> bool:
    return tencent.endswith(IDENTIFIERS) and declared in {str, list[str]}


def fields_along(part: type[Part], path: str) -> Iterator[Field]:
    """The fields along a path of ours, such as `friend_item.to_account`, that begins in this object."""
    for name in path.split("."):
        field = next(field for field in fields_of(part) if field.name == name)
        yield field
        part = item_type(field.type) or field.type


def without_none(declared: Any) -> Any:
    """`X` of `X | None`."""
    alternatives = [item for item in typing.get_args(declared) if item is not type(None)]
    return typing.Union[tuple(alternatives)] if len(alternatives) > 1 else alternatives[0]  # noqa: UP007


def item_type(declared: Any) -> Any:
    """`X` of `list[X]`, None for other types."""
    return typing.get_args(declared)[0] if typing.get_origin(declared) is list else None


def is_part(declared: Any) -> bool:
    """Whether it is the class of an object."""
    return isinstance(declared, type) and issubclass(declared, Part)


def alternatives_of(declared: Any) -> tuple[Any, ...]:
    """`(X, Y)` of `X | Y`, empty for other types."""
    return typing.get_args(declared) if typing.get_origin(declared) in {typing.Union, types.UnionType} else ()


def is_verbatim(declared: Any) -> bool:
    """Whether it is passed on, or holds something that is passed on, whatever it is."""
    if is_part(declared):
        return any(is_verbatim(field.type) for field in fields_of(declared))
    return declared is Any or ((item := item_type(declared)) is not None and is_verbatim(item))
