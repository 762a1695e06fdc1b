"""The reference of one family of events, as a page: docs/events/c2c.md and so on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bridge.contract.examples import body_of, documented_bodies, events_of, pretty
from bridge.contract.wording import (
    anchor,
    describe_answer,
    describe_identity,
    describe_weakness,
    documented_codes,
    key_of,
    linked,
    what_happened,
    without_an_answer,
)
from bridge.events import Data, registry
from bridge.events.introspection import Field, alternatives_of, fields_of, is_part, item_type

WRITTEN = "<!-- Written by `bridge schemas` from the classes in bridge/events. Change those, not this page. -->"
"""What each page of the reference has, and no other page."""
HINTS = {str: "text", int: "integer", bool: "true or false", Any: "anything"}


def family_page(title: str, about: str, entries: Sequence[registry.Entry], index: str) -> str:
    """The page.

    Args:
        title: its heading.
        about: what the family is about, a sentence.
        entries: its commands, in the order of the page.
        index: a relative link to the page that has all families.
    """
    return "\n".join(_lines(title, about, entries, index)) + "\n"


def _lines(title: str, about: str, entries: Sequence[registry.Entry], index: str) -> Iterator[str]:
    yield f"# {title}\n"
    yield f"{WRITTEN}\n"
    yield f"{about} What all events have in common is in [{index.rpartition('/')[2]}]({index}).\n"
    yield "| event type | command |"
    yield "| --- | --- |"
    for entry in entries:
        callback = entry.callback
        yield f"| [`{callback.type}`](#{anchor(callback.type)}) | `{callback.command}` |"
    for entry in entries:
        yield from _section(entry, index)


def _section(entry: registry.Entry, index: str) -> Iterator[str]:
    callback = entry.callback
    yield f"\n## {callback.type}\n"
    yield f"{what_happened(entry.data)}\n"
    yield "| | |"
    yield "| --- | --- |"
    yield from (f"| {name} | {text} |" for name, text in _facts(entry, index) if text)
    if codes := list(documented_codes(callback)):
        yield "\n| answer's field | documented code | what the platform does |"
        yield "| --- | --- | --- |"
        yield from (f"| `{field}` | {code} | {meaning} |" for field, code, meaning in codes)
    yield "\n| platform's field | field of `data` | type | meaning |"
    yield "| --- | --- | --- | --- |"
    yield from _fields(entry.fields)
    kind = "A body as it comes" if callback.command in documented_bodies() else "A body with every documented field"
    yield f"\n{kind}, with invented values, becomes:\n"
    yield "```json"
    yield pretty(events_of(callback.command, body_of(entry))[0])
    yield "```"


def _facts(entry: registry.Entry, index: str) -> Iterator[tuple[str, str]]:
    """What is to be known of a command, by names of rows; empty where there is nothing to say."""
    callback = entry.callback
    aliases = ", ".join(f"`{alias}`" for alias in callback.aliases)
    yield "command", f"`{callback.command}` ({'before' if callback.is_before else 'after'})"
    yield "also", aliases + (", whose name the event keeps" if callback.keeps_aliases else "")
    if callback.printed_under:
        yield "printed as", f"`{callback.printed_under}`, whose body has no `{callback.told_by}`"
    yield "key", key_of(entry)
    yield "identity", describe_identity(entry.exactness)
    yield "weak", f"where {weak}" if (weak := describe_weakness(entry.exactness)) else ""
    yield "our reason", callback.identity_reason
    yield "answer", describe_answer(callback, index)
    yield "no answer", without_an_answer(callback)
    if callback.batch:
        yield "batch", f"one event for each item of `{callback.batch}`, of the command that the item names"
    if callback.time:
        names = ".".join(registry.platform_path(entry, callback.time))
        yield "time", f"`{names}`, where there is no `EventTime`"
    if callback.is_open:
        yield "body", "we could not read its page: what is not in this table is in `data.unknown`, and is no drift"
    yield "source", linked(callback.source)
    yield "class", f"`{_module(entry.data)}.{entry.data.__name__}`"


def _module(data: type[Data]) -> str:
    """The module that users import a class from, e.g. `bridge.events.group`, whose classes are in modules below it."""
    return ".".join(data.__module__.split(".")[:3])


def _fields(fields: tuple[Field, ...], platform: str = "", ours: str = "") -> Iterator[str]:
    for field in fields:
        names = " or ".join(f"`{platform}{name}`" for name in (field.tencent, *field.others))
        optional = " Optional." if field.optional else ""
        yield f"| {names} | `{ours}{field.name}` | {_type(field.type)} | {field.meaning}{optional} |"
        item = item_type(field.type)
        inner = item or field.type
        if is_part(inner):
            suffix = "[]." if item else "."
            nested = fields_of(inner)
            yield from _fields(nested, f"{platform}{field.tencent}{suffix}", f"{ours}{field.name}{suffix}")


def _type(declared: Any) -> str:
    if item := item_type(declared):
        return f"list of {_type(item)}"
    if is_part(declared):
        return "object"
    return HINTS.get(declared) or " or ".join(HINTS[one] for one in alternatives_of(declared))
