"""Every setting, for people: its default, which values it takes, and what it means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from common.secret_files import variable_name
from common.settings.problems import meaning_of
from common.settings.settings_group import SettingsGroup

UNITS = {"_ms": "milliseconds", "_s": "seconds", "_hours": "hours", "_bytes": "bytes", "_per_minute": "per minute"}
"""What the end of a name says of its numbers; the longest that fits counts."""
OTHER_UNITS = {"_bytes_per_minute": "bytes per minute", "_per_s": "per second"}

_LARGER = {
    "bytes": ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")),
    "seconds": ((86_400, "d"), (3600, "h"), (60, "min")),
    "hours": ((24, "d"),),
}
"""Unit → larger ones, in which a number is told too that is a multiple of them."""


@dataclass(frozen=True)
class SettingEntry:
    """A setting as people need it."""

    variable: str
    default: str
    """As it is written in the environment; `required`, or empty for none."""
    default_in_words: str
    """A large number in a larger unit, as `2 GiB`; empty for all else."""
    values: str
    """Which values it takes, with their unit and range."""
    meaning: str


@dataclass(frozen=True)
class SettingSection:
    """The settings of a concern."""

    heading: str
    about: str
    """A sentence."""
    read_more: str
    """A page below docs/ with the rest, perhaps with an anchor; empty if there is none."""
    entries: tuple[SettingEntry, ...]


def reference(settings_class: type[SettingsGroup]) -> Iterator[SettingSection]:
    """Every setting, concern by concern, in the order in which they are composed."""
    for declaring in settings_class.__mro__:
        names = [name for name in vars(declaring).get("__annotations__", {}) if name in settings_class.model_fields]
        if names and issubclass(declaring, SettingsGroup):
            about = (declaring.__doc__ or "").partition("\n")[0]
            entries = tuple(_entry(settings_class, name) for name in names)
            yield SettingSection(declaring.heading, about, declaring.read_more, entries)


def _entry(settings_class: type[SettingsGroup], name: str) -> SettingEntry:
    found = settings_class.model_fields[name]
    unit = unit_of(name)
    return SettingEntry(
        variable_name(settings_class, name),
        "required" if found.is_required() else _written(found.default),
        _in_larger_unit(found.default, unit),
        _values(found, unit, settings_class.longest_s if unit == "seconds" else None),
        meaning_of(settings_class, name),
    )


def unit_of(name: str) -> str:
    """The unit that the name of a field ends with; empty if it has none."""
    ends = sorted((UNITS | OTHER_UNITS).items(), key=lambda item: -len(item[0]))
    return next((unit for end, unit in ends if name.endswith(end)), "")


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if value < 1_000_000 else str(value)
    return str(value)


def _in_larger_unit(value: Any, unit: str) -> str:
    if isinstance(value, int | float) and value > 0:
        for factor, larger in _LARGER.get(unit, ()):
            if value >= factor and value % factor == 0:
                return f"{value // factor:g} {larger}"
    return ""


def _values(found: FieldInfo, unit: str, longest_s: int | None) -> str:
    kind = _without_none(found.annotation)
    if get_origin(kind) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    if kind in {int, float}:
        number = unit or ("number" if kind is float else "whole number")
        return ", ".join(filter(None, (number, _range(found, longest_s))))
    if isinstance(kind, type):
        return "path" if issubclass(kind, Path) else "secret" if issubclass(kind, SecretStr) else "text"
    return "JSON"


def _without_none(annotation: Any) -> Any:
    """The type behind `… | None` and `Annotated[…]`."""
    if get_origin(annotation) in {Union, UnionType}:
        (annotation,) = (kind for kind in get_args(annotation) if kind is not NoneType)
    return get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def _range(found: FieldInfo, longest_s: int | None) -> str:
    limits = {name: limit for name in ("ge", "gt", "le", "lt") if (limit := _limit(found, name)) is not None}
    if longest_s is not None and not {"le", "lt"} & limits.keys():
        limits["le"] = longest_s
    words = {"ge": "from", "gt": "above", "le": "up to", "lt": "below"}
    return " ".join(f"{words[name]} {_written(limit)}" for name, limit in limits.items())


def _limit(found: FieldInfo, name: str) -> Any:
    return next((getattr(item, name) for item in found.metadata if hasattr(item, name)), None)
