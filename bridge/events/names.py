"""The names that the platform documents, to tell who misspells one in a setting what is meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from bridge.events import registry
from bridge.events.base import Part
from bridge.events.introspection import fields_of, is_part, item_type
from bridge.events.strict import ENVELOPE_FIELDS
from common.nearest_name import nearest_name

WILDCARDS = "*?["
NEARLY_A_COMMAND = 0.6
NEARLY_A_FIELD = 0.8
"""How alike two names must be for one to be the other misspelt: commands are long, and few are asked about."""


def is_pattern(text: str) -> bool:
    """Whether a text stands for several commands."""
    return any(mark in text for mark in WILDCARDS)


def decidable_commands(pattern: str) -> list[str]:
    """The documented callbacks that await an answer, with this name or that match this pattern, whatever their case."""
    return [command for command in commands(pattern) if registry.awaits_answer(command)]


def commands(pattern: str) -> list[str]:
    """The documented callbacks with this name, or that match this pattern, whatever their case."""
    wanted = pattern.lower()
    if not is_pattern(pattern):
        entry = registry.find(wanted)
        return [entry.callback.command] if entry else []
    every = (command for entry in registry.ENTRIES for command in (entry.callback.command, *entry.callback.aliases))
    return [command for command in every if fnmatchcase(command.lower(), wanted)]


def nearest_decidable_command(text: str) -> str | None:
    """The documented callback that awaits an answer and that a misspelt name or pattern is most like, None where it is
    like none."""
    name = "".join(one for one in text if one not in WILDCARDS)
    return nearest_name(name, decidable_commands("*"), cutoff=NEARLY_A_COMMAND)


def names_in(text: str) -> list[str]:
    """The names in a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def check_list(text: str) -> str:
    """See that a text is a list of names of fields with commas, and give it back.

    Raises:
        ValueError: it is not.
    """
    for name in names_in(text):
        if not re.fullmatch(r"[A-Za-z0-9_]+", name):
            raise ValueError(
                f"{name!r} is no name of a field: write the platform's names with commas between, without quotes,"
                " brackets and paths, as in MsgBody,CloudCustomData"
            )
    return text


def is_field(name: str) -> bool:
    """Whether the platform documents a field of this name in any callback, whatever its case."""
    return name.lower() in {known.lower() for known in fields()}


def nearest_field(name: str) -> str | None:
    """The documented field that a misspelt name is most like, None where it is like none."""
    return nearest_name(name, fields(), cutoff=NEARLY_A_FIELD)


@cache
def fields() -> frozenset[str]:
    """Every name of a field that the platform documents in any callback, at any depth."""
    found = set(ENVELOPE_FIELDS)
    for entry in registry.ENTRIES:
        found.update(_names_in(entry.data))
    return frozenset(found)


def _names_in(part: type[Part]) -> Iterator[str]:
    for field in fields_of(part):
        yield from (field.tencent, *field.others)
        inner: Any = item_type(field.type) or field.type
        if is_part(inner):
            yield from _names_in(inner)
