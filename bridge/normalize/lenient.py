"""Reads a body that differs from the documentation, field by field: what fits is typed, the rest is passed on."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from bridge.events import Data, Part
from bridge.events.introspection import alternatives_of, fields_of, item_type
from bridge.events.introspection import is_part as _is_part
from bridge.events.strict import ENVELOPE_FIELDS, builder, strict_class
from bridge.normalize.numbers import GREATEST, LEAST, whole_number
from bridge.normalize.shapes import field_name


class Surprise(NamedTuple):
    """Where a body differs from the documentation."""

    kind: str
    """`unknown_field`, `missing_field` or `type`."""
    field: str
    """The platform's names from the top, e.g. `Info.Action`; an undocumented one only as it may be shown."""
    value: Any = None


class Reading(NamedTuple):
    """What a body says."""

    data: Data
    event_time: Any
    """EventTime as it came, None where absent."""
    command: Any
    """CallbackCommand as it came, None where absent."""
    surprises: list[Surprise]


MANY_ITEMS = 100
"""A list of so many objects is first tried as a whole, as it is when the body as a whole is as documented."""
MAX_SURPRISES = 50
"""Most that are told of a body: it may differ in each of many thousand items."""

_ENVELOPE = {name.lower(): name for name in ENVELOPE_FIELDS}

Accepts = Callable[[str, Any], bool]


def read(fields: dict[str, Any], data: type[Data], accepts: Accepts) -> Reading:
    """Read the object of a body.

    Args:
        fields: the object.
        data: the class of its data.
        accepts: whether a field of the envelope, given its name and value, is understood there; else it is passed on.
    """
    surprises: list[Surprise] = []
    rest = dict(fields)
    envelope: list[Any] = []
    for documented in ENVELOPE_FIELDS:
        name = _find(rest, documented)
        value = None if name is None else rest[name]
        envelope.append(value)
        if name is not None and (value is None or accepts(documented, value)):
            del rest[name]
    known, unknown = _split(rest, data, "", surprises)
    if unknown:
        known["unknown"] = unknown
    command, event_time = envelope
    return Reading(data(**known), event_time, command, surprises)


def _split(
    fields: dict[str, Any], part: type[Part], path: str, surprises: list[Surprise]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The documented fields under our names and types, and the rest under the platform's.

    A value that has no form in the documented type belongs to the rest: a typed field has its type or is absent.
    """
    known: dict[str, Any] = {}
    unknown = dict(fields)
    names = _names_of(fields, part)
    for field in fields_of(part):
        name = names.pop(field.name, None)
        value = None if name is None else unknown.pop(name)
        if name is None or value is None:
            if not field.optional and len(surprises) < MAX_SURPRISES:
                surprises.append(Surprise("missing_field", path + field.tencent))
            continue
        nested: list[Surprise] = []
        try:
            known[field.name], rest = _coerce(value, field.type, path + field.tencent, nested, field.has_two_forms)
        except (TypeError, ValueError):
            nested, rest = [Surprise("type", path + field.tencent, value)], None
            unknown[name] = value
        surprises += nested[: MAX_SURPRISES - len(surprises)]
        if rest:
            unknown[name] = rest
    if unknown:
        _drop_repeated(unknown, fields, part)
    if unknown and len(surprises) < MAX_SURPRISES:
        documented = _documented(part)
        new = (item for item in unknown.items() if item[0].lower() not in documented)
        more = islice(new, MAX_SURPRISES - len(surprises))
        surprises += [_undocumented(path, name, value) for name, value in more]
    return known, unknown


def _undocumented(path: str, name: str, value: Any) -> Surprise:
    """What to tell of a field that the part has not. It may be one of the envelope, which was not understood there."""
    if not path and (documented := _ENVELOPE.get(name.lower())):
        return Surprise("type", documented, value)
    return Surprise("unknown_field", path + field_name(name), value)


def _drop_repeated(unknown: dict[str, Any], fields: dict[str, Any], part: type[Part]) -> None:
    """Take out of the rest what only says again, under another name of a field, what the field says."""
    documented = _documented(part)
    again = [name for name in unknown if name.lower() in documented]
    names = _names_of(fields, part) if again else {}
    for name in again:
        taken = {names.get(ours, name) for _, _, ours in documented[name.lower()]} - {name}
        if any(unknown[name] is None or _is_same(unknown[name], fields[other]) for other in taken):
            del unknown[name]


def _is_same(value: Any, other: Any) -> bool:
    return type(value) is type(other) and value == other


def _names_of(fields: dict[str, Any], part: type[Part]) -> dict[str, str]:
    """Our name → the name under which a field is there: one with a value before one that is null, the documented one
    before others, its exact form before all."""
    documented_fields = fields_of(part)
    exact = {field.name: field.tencent for field in documented_fields if field.tencent in fields}
    if len(exact) == len(fields) or (len(exact) == len(documented_fields) and None not in fields.values()):
        return exact  # No other name can be meant.
    documented = _documented(part)
    found: dict[str, tuple[bool, int, str]] = {}
    for name, value in fields.items():
        for rank, form, ours in documented.get(name.lower(), ()):
            candidate = (value is None, rank if name == form else rank + 100, name)
            if ours not in found or candidate < found[ours]:
                found[ours] = candidate
    return {ours: name for ours, (_, _, name) in found.items()}


def prepare(part: type[Part]) -> None:
    """Find out what reading such an object takes, which the first one would wait for."""
    _documented(part)
    for field in fields_of(part):
        _prepare_type(field.type)


def _prepare_type(declared: Any) -> None:
    item, is_part, _ = _shape(declared)
    if item is not None:
        _prepare_type(item)
        if _is_part(item):
            for is_wide in (False, True):
                _build(item, is_wide=is_wide)
    elif is_part:
        prepare(declared)


@cache
def _documented(part: type[Part]) -> dict[str, list[tuple[int, str, str]]]:
    """The platform's names in lower case → how far each is from the preferred one, its exact form, our name."""
    names: dict[str, list[tuple[int, str, str]]] = {}
    for field in fields_of(part):
        for rank, name in enumerate((field.tencent, *field.others)):
            names.setdefault(name.lower(), []).append((rank, name, field.name))
    return names


def _find(fields: dict[str, Any], name: str) -> str | None:
    """The name under which a field is there. Its exact form goes before any other case."""
    if name in fields:
        return name
    lower = name.lower()
    return next((given for given in fields if given.lower() == lower), None)


def _coerce(
    value: Any, declared: Any, path: str, surprises: list[Surprise], has_two_forms: bool = False
) -> tuple[Any, Any]:
    """`value` in its declared type, and what is undocumented inside it (in place, so that it can be told where).

    Raises:
        TypeError, ValueError: it has no form in that type.
    """
    item, is_part, accepted = _shape(declared)
    if type(value) in accepted and (type(value) is not int or LEAST <= value <= GREATEST):
        return value, None
    if item is not None:
        items = [value] if has_two_forms and item is str and isinstance(value, str) else value
        if not isinstance(items, list):
            raise TypeError
        if len(items) >= MANY_ITEMS and (parts := _read_strictly(items, item)) is not None:
            return parts, None
        pairs = [_coerce(one, item, path, surprises, has_two_forms) for one in items]
        rests = [rest for _, rest in pairs]
        return [one for one, _ in pairs], rests if any(rests) else None
    if is_part:
        if not isinstance(value, dict):
            raise TypeError
        known, unknown = _split(value, declared, f"{path}.", surprises)
        return declared(**known), unknown
    if declared is Any:
        return value, None
    coerced = _scalar(value, declared)
    if not _is_documented(value, declared, has_two_forms) and len(surprises) < MAX_SURPRISES:
        surprises.append(Surprise("type", path, value))
    return coerced, None


def _is_documented(value: Any, declared: Any, has_two_forms: bool) -> bool:
    """Whether a value of another type than the declared one is a form that the documentation prints as well."""
    if declared is bool:
        return isinstance(value, int) or value in ("true", "false")
    return has_two_forms and isinstance(value, int | str)


def _read_strictly(values: list[Any], item: Any) -> list[Part] | None:
    """Objects in exactly the documented form; None if one of them is in another."""
    if not _is_part(item):
        return None
    for is_wide in (False, True):
        strict = list[strict_class(item, is_wide=is_wide)]  # type: ignore[misc, valid-type]
        try:
            return [*map(_build(item, is_wide=is_wide), msgspec.convert(values, strict))]
        except msgspec.ValidationError:
            pass
    return None


_build = cache(builder)


@cache
def _shape(declared: Any) -> tuple[Any, bool, tuple[Any, ...]]:
    """Type of the items of a list, whether it is an object, and the types of values that fit as they are."""
    return (
        item_type(declared),
        _is_part(declared),
        (declared, *alternatives_of(declared)),
    )


def _scalar(value: Any, declared: Any) -> Any:
    number = whole_number(value)
    if declared is bool:
        if number in {0, 1}:
            return bool(number)
        if value in ("true", "false"):
            return value == "true"
    elif declared is str:
        if type(value) is int:
            return str(value)
        if number is not None:  # Text is text already, so this was 7.0.
            return str(number)
    elif number is not None:  # A whole number, or that or text.
        return number
    raise TypeError
