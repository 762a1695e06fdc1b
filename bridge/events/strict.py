"""The strict way to read a body: it has exactly the documented fields and types, and is decoded in one go.

Two classes stand for each object: a derived one that reads it under the platform's names, and the documented `Part`,
which is built of it under ours. What this way refuses, `bridge.normalize.lenient` reads field by field.

Where the documentation prints a number here and its digits as text there, or a flag as text, nearly all bodies have
what the tables say. So there are two derived classes: the narrow one knows that form only, and costs nothing; the wide
one knows both.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal

import msgspec

from bridge.events.base import Data, Part
from bridge.events.getters import compiled
from bridge.events.introspection import Field, alternatives_of, fields_of, is_part, item_type

ENVELOPE_FIELDS = ("CallbackCommand", "EventTime")
"""Fields of a body that become attributes of the event instead of fields of its data."""

SmallInt = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What every JSON reader takes for a whole number."""
Digits = Annotated[str, msgspec.Meta(pattern=r"^(0|[1-9][0-9]{0,17})$")]
"""A whole number as text."""
Flag = bool | Annotated[int, msgspec.Meta(ge=0, le=1)]
NARROW: dict[Any, Any] = {bool: Flag, int: SmallInt, str: str}
WIDE: dict[Any, Any] = {bool: Flag | Literal["true", "false"], int: SmallInt | Digits, str: str | SmallInt}
"""Type of a field that has two forms → what is read for it."""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Base of the derived classes that read a body: every documented field under the platform's name, and no other."""

    callback_command: str | None = msgspec.field(name="CallbackCommand", default=None)
    event_time: SmallInt | str | None = msgspec.field(name="EventTime", default=None)


@cache
def strict_class(part: type[Part], *, is_wide: bool = False, is_complete: bool = False) -> type[msgspec.Struct]:
    """The class that reads `part` under the platform's names and refuses any other field.

    Args:
        part: the documented object.
        is_wide: whether fields that have two forms are read in either.
        is_complete: whether it refuses an object that lacks one of its fields which may not be absent, or has null in
            its place. Of the fields of objects in it that says nothing.
    """
    fields = fields_of(part)
    names = {field.name: field.tencent for field in fields}
    return msgspec.defstruct(
        part.__name__,
        [
            (field.name, _strict_type(field, field.type, is_wide))
            if is_complete and not field.optional
            else (field.name, _strict_field(field, is_wide), None)
            for field in fields
        ],
        bases=(Body,) if issubclass(part, Data) else None,
        rename=names.get,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        gc=False,
    )


def has_two_forms(part: type[Part]) -> bool:
    """Whether the wide class of an object differs from the narrow one."""
    return any(field.has_two_forms or field.type is bool or _holds_two_forms(field.type) for field in fields_of(part))


def _holds_two_forms(declared: Any) -> bool:
    inner = item_type(declared) or declared
    return is_part(inner) and has_two_forms(inner)


def _strict_field(field: Field, is_wide: bool) -> Any:
    declared: Any = typing.Optional[_strict_type(field, field.type, is_wide)]  # noqa: UP045
    return Annotated[declared, msgspec.Meta(description=field.meaning)]


def _strict_type(field: Field, declared: Any, is_wide: bool) -> Any:
    forms = WIDE if is_wide and (field.has_two_forms or declared is bool) else NARROW
    if declared in forms:
        return forms[declared]
    if item := item_type(declared):
        return list[_strict_type(field, item, is_wide)]  # type: ignore[misc]
    if is_part(declared):
        return strict_class(declared, is_wide=is_wide)
    if alternatives := alternatives_of(declared):
        return typing.Union[tuple(NARROW[item] for item in alternatives)]  # noqa: UP007
    return declared


_values_of: Callable[[msgspec.Struct], tuple[Any, ...]] = msgspec.structs.astuple


def builder(part: type[Part], *, is_wide: bool = False) -> Callable[[msgspec.Struct], Any]:
    """What makes a `part` of its strict form; both have the same fields in the same order."""
    names = part.__struct_fields__
    conversions = [
        (names.index(field.name), convert)
        for field in fields_of(part)
        if (convert := _conversion(field, field.type, is_wide))
    ]
    # In front of the fields, a body has two of the envelope, and data has `unknown`.
    skipped, first = (2, (None,)) if issubclass(part, Data) else (0, ())
    if not conversions:
        values_as_they_are = [*map(repr, first), *(f"it.{name}" for name in names[len(first) :])]
        return compiled(f"part({', '.join(values_as_they_are)})", part=part)

    def build(strict: msgspec.Struct) -> Any:
        values = [*first, *_values_of(strict)[skipped:]]
        for index, convert in conversions:
            if values[index] is not None:
                values[index] = convert(values[index])
        return part(*values)

    return build


def _conversion(field: Field, declared: Any, is_wide: bool) -> Callable[[Any], Any] | None:
    if declared is bool:
        return _flag if is_wide else bool
    if is_wide and field.has_two_forms and declared in {int, str}:
        return typing.cast(Callable[[Any], Any], declared)
    if is_part(declared):
        return builder(declared, is_wide=is_wide)
    if (item := item_type(declared)) and (convert := _conversion(field, item, is_wide)):
        return lambda values: [convert(value) for value in values]
    return None


def _flag(value: bool | int | str) -> bool:
    return value == "true" if isinstance(value, str) else bool(value)
