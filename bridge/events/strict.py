"""The strict way to read a body: it has exactly the documented fields and types, and is decoded in one go.

Two classes stand for each object: a derived one that reads it under the platform's names, and the documented `Part`,
which is built of it under ours. What this way refuses, `bridge.normalize.lenient` reads field by field.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

import msgspec

from bridge.events.base import Data, Part
from bridge.events.introspection import Field, alternatives_of, fields_of, is_part, item_type

ENVELOPE_FIELDS = ("CallbackCommand", "EventTime")
"""Fields of a body that become attributes of the event instead of fields of its data."""

SmallInt = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What every JSON reader takes for a whole number."""
Flag = bool | Annotated[int, msgspec.Meta(ge=0, le=1)]


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of the derived classes that read a body: every documented field under the platform's name, and no other."""

    callback_command: str | None = msgspec.field(name="CallbackCommand", default=None)
    event_time: SmallInt | str | None = msgspec.field(name="EventTime", default=None)


@cache
def strict_class(part: type[Part]) -> type[msgspec.Struct]:
    """The class that reads `part` under the platform's names and refuses any other field."""
    fields = fields_of(part)
    names = {field.name: field.tencent for field in fields}
    return msgspec.defstruct(
        part.__name__,
        [(field.name, _strict_field(field), None) for field in fields],
        bases=(Body,) if issubclass(part, Data) else None,
        rename=names.get,
        frozen=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def _strict_field(field: Field) -> Any:
    declared: Any = typing.Optional[_strict_type(field.type)]  # noqa: UP045
    return Annotated[declared, msgspec.Meta(description=field.meaning)]


def _strict_type(declared: Any) -> Any:
    if declared is bool:
        return Flag
    if declared is int:
        return SmallInt
    if item := item_type(declared):
        return list[_strict_type(item)]  # type: ignore[misc]
    if is_part(declared):
        return strict_class(declared)
    if alternatives := alternatives_of(declared):
        return typing.Union[tuple(_strict_type(item) for item in alternatives)]  # noqa: UP007
    return declared


_values_of: Callable[[msgspec.Struct], tuple[Any, ...]] = msgspec.structs.astuple


def builder(part: type[Part]) -> Callable[[msgspec.Struct], Any]:
    """What makes a `part` of its strict form; both have the same fields in the same order."""
    names = part.__struct_fields__
    conversions = [
        (names.index(field.name), convert) for field in fields_of(part) if (convert := _conversion(field.type))
    ]
    # In front of the fields, a body has two of the envelope, and data has `unknown`.
    skipped, first = (2, [None]) if issubclass(part, Data) else (0, [])
    if not conversions:
        return lambda strict: part(*first, *_values_of(strict)[skipped:])

    def build(strict: msgspec.Struct) -> Any:
        values = [*first, *_values_of(strict)[skipped:]]
        for index, convert in conversions:
            if values[index] is not None:
                values[index] = convert(values[index])
        return part(*values)

    return build


def _conversion(declared: Any) -> Callable[[Any], Any] | None:
    if declared is bool:
        return bool
    if is_part(declared):
        return builder(declared)
    if (item := item_type(declared)) and (convert := _conversion(item)):
        return lambda values: [convert(value) for value in values]
    return None
