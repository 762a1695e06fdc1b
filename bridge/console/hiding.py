"""Keeps from the page what BRIDGE_CONSOLE_HIDE names, wherever it may stand: fields, headers, keys, words of errors.

Where nobody can tell what is in a text it is not shown, once anything is hidden: what is no JSON, queries, headers that
we do not know, and the words of whoever failed at a record, which may quote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import orjson
from aiokafka import ConsumerRecord

from bridge.contract.record_line import MAX_DEPTH, key_of
from bridge.events import registry
from bridge.events.base import Part
from bridge.events.introspection import fields_of, is_part, item_type

HIDDEN = "…"
"""Stands for a value that is not shown."""
_PLAIN_HEADERS = frozenset(
    {
        "attempts",
        "body-bytes",
        "body-sha256",
        "bridge-seq",
        "content-type",
        "group",
        "original-offset",
        "original-partition",
        "original-size",
        "original-timestamp",
        "original-topic",
        "reason",
        "receivedtime",
        "set-aside",
        "traceback-hash",
        "traceparent",
        "value-omitted",
    }
)
"""Headers of our records that hold nothing of a callback's texts."""
_ABOUT = ("subject", "account")
"""Where an event, and a badge, say whom they are about."""
_OUR_ATTRIBUTES = {"optplatform": "platform"}
"""Attributes of events that have another name than the field of the query from which they come."""
_ERROR = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception|Warning|Exit|Interrupt)(?=:|$)")
_FRAME = re.compile(r'  File "[^"]*", line \d+, in [\w<>.]+')


class Hiding:
    """Replaces the values of fields, at any depth, whether they stand under the platform's names or under ours.

    Args:
        names: the platform's names, in any case.
    """

    def __init__(self, names: Iterable[str]) -> None:
        given = {name.lower() for name in names}
        ours, self.hides_accounts = _our_names(given)
        """Whether a field is hidden of which an event, and the key of its record, may be about."""
        about = _ABOUT if self.hides_accounts else ()
        self._names = frozenset(given | ours | {_OUR_ATTRIBUTES.get(name, name) for name in given} | set(about))
        self.is_active = bool(given)

    def shown(self, value: Any) -> Any:
        """What of a value may be seen; nothing of what lies deeper than MAX_DEPTH, or stands under no name."""
        return self._shown(value, MAX_DEPTH, is_named=False) if self.is_active else value

    def shown_key(self, record: ConsumerRecord) -> str:
        """The key of a record, as far as it may be seen."""
        return self.shown_account(key_of(record))

    def shown_account(self, account: str) -> str:
        """Whom something is about, as far as it may be seen."""
        return HIDDEN if self.hides_accounts and account else account

    def shown_words(self, text: str) -> str:
        """What of the words of an error may be seen: its kind, where it begins with that."""
        if not self.is_active or not text:
            return text
        kind = _ERROR.match(text)
        return f"{kind[0]}: {HIDDEN}" if kind else HIDDEN

    def shown_header(self, name: str, value: bytes) -> str:
        """What of a header of a record may be seen.

        Who failed at a record may have quoted it: of its words the kind of the error stays, and where it was raised.
        """
        text = value.decode(errors="backslashreplace")
        if not self.is_active or name in _PLAIN_HEADERS:
            return text
        if name == "raw-body":
            shown = self.shown_json(value)
            return HIDDEN if shown is None else shown.decode(errors="replace")
        if name == "traceback":
            return _without_words(text)
        return self.shown_words(text) if name == "detail" else HIDDEN

    def shown_json(self, value: bytes) -> bytes | None:
        """What may be seen of JSON; None where it is none, so that nobody knows what is in it."""
        if not self.is_active:
            return value
        try:
            return orjson.dumps(self.shown(orjson.loads(value)))
        except orjson.JSONDecodeError:
            return None

    def _shown(self, value: Any, depth: int, *, is_named: bool) -> Any:
        if isinstance(value, dict | list) and depth <= 0:
            return HIDDEN
        if isinstance(value, list):
            return [self._shown(item, depth - 1, is_named=is_named) for item in value]
        if isinstance(value, dict):
            return {
                name: HIDDEN if name.lower() in self._names else self._shown(item, depth - 1, is_named=True)
                for name, item in value.items()
            }
        if not is_named and value is not None:
            return HIDDEN
        return self._shown_text(value, depth) if isinstance(value, str) else value

    def _shown_text(self, text: str, depth: int) -> str:
        """A text, which may be JSON itself: fields of the app's own often are."""
        is_told = any(name in text.lower() for name in self._names)
        if "{" not in text or not (is_told or "\\" in text):
            return text
        try:
            found = orjson.loads(text)
        except orjson.JSONDecodeError:
            return HIDDEN if is_told else text  # Cut, perhaps: the name of what is hidden stands in it.
        shown = self._shown(found, depth - 1, is_named=True)
        return text if shown == found else orjson.dumps(shown).decode()


def _without_words(traceback: str) -> str:
    """The places of a traceback and the kinds of its errors, without a line of what these say or quote."""
    found: list[str] = []
    for line in traceback.splitlines():
        if _FRAME.fullmatch(line):
            found.append(line)
        elif kind := _ERROR.match(line):
            found.append(f"{kind[0]}: {HIDDEN}")
    return "\n".join(found) or HIDDEN


def _our_names(given: set[str]) -> tuple[set[str], bool]:
    """Our names of these fields, and whether an event may be about one of them."""
    found: set[str] = set()
    subjects: set[str] = set()
    for entry in registry.ENTRIES:
        found.update(_in_part(entry.data, given))
        subjects.update(path.rpartition(".")[2] for path in entry.callback.subject)
    return found, bool(subjects & found)


def _in_part(part: type[Part], given: set[str]) -> Iterable[str]:
    for field in fields_of(part):
        if any(name.lower() in given for name in field.names):
            yield field.name
        inner: Any = item_type(field.type) or field.type
        if is_part(inner):
            yield from _in_part(inner, given)
