"""Makes of a documented callback one that just happened: with identity and times of its own, as the platform sends."""

from __future__ import annotations

import random
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import orjson

SEQUENCES = {"MsgSeq", "Seq"}
RANDOMS = {"MsgRandom", "Random"}
GROUPS = {"GroupId", "TopicId"}
KEY = re.compile(r"\d+_\d+_\d{10}")
"""Sequence number, random number and seconds of Unix time."""
ID = re.compile(r"(\d+)-\d{10}-\d+")
"""Sender, seconds of Unix time, random number."""
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TASK = re.compile(r"((?:Push|Gift|Task|Battle)I[dD])-[0-9a-f]+")
SECONDS, MILLISECONDS = re.compile(r"\d{10}"), re.compile(r"\d{13}")


def fresh(body: bytes, now_ms: int | None = None, *, rename: Callable[[str], str] | None = None) -> bytes:
    """The body with another identity: numbers, keys and times, each in the form that it has.

    Accounts, groups and rooms stay, unless `rename` says otherwise. What is equal in the body is equal afterwards.

    Args:
        body: a JSON object.
        now_ms: when it happens, in milliseconds of Unix time; default: now.
        rename: gives an account or a group another name.
    """
    maker = _Maker(time.time_ns() // 1_000_000 if now_ms is None else now_ms, rename)
    return orjson.dumps(maker.value("", orjson.loads(body)), option=orjson.OPT_INDENT_2)


class _Maker:
    """Makes the values of one body."""

    def __init__(self, now_ms: int, rename: Callable[[str], str] | None) -> None:
        self._now_ms = now_ms
        self._rename = rename
        self._sequence = random.randrange(10**4, 10**9)  # noqa: S311 - no secret
        self._random = random.randrange(10**4, 2**31)  # noqa: S311 - no secret
        self._made: dict[tuple[str, str], str] = {}

    def value(self, name: str, value: Any) -> Any:
        """What stands for a value of the field."""
        if isinstance(value, dict):
            return {field: self.value(field, item) for field, item in value.items()}
        if isinstance(value, list):
            return [self.value(name, item) for item in value]
        if isinstance(value, bool) or not isinstance(value, int | str):
            return value
        made = self._text(name, str(value))
        return made if isinstance(value, str) else int(made)

    def _text(self, name: str, text: str) -> str:
        if self._rename is not None and (name in GROUPS or name.endswith("_Account")):
            return self._rename(text)
        if name in SEQUENCES and text.isdecimal():
            return self._once(name, text, lambda: str(self._sequence + len(self._made)))
        if name in RANDOMS and text.isdecimal():
            return self._once(name, text, lambda: str((self._random + len(self._made)) % 2**31))
        is_seconds = SECONDS.fullmatch(text) is not None
        # The platform writes it in either unit: here in the one that tells two callbacks of a second apart.
        if (name == "EventTime" and is_seconds) or (name.endswith(("Time", "Ts")) and MILLISECONDS.fullmatch(text)):
            return str(self._now_ms)
        if name.endswith(("Time", "Ts")) and is_seconds:
            return str(self._now_ms // 1000)
        return self._once("", text, lambda: self._identifier(text))

    def _identifier(self, text: str) -> str:
        seconds = self._now_ms // 1000
        number = self._random + len(self._made)
        if KEY.fullmatch(text):
            return f"{self._sequence}_{number}_{seconds}"
        if found := ID.fullmatch(text):
            return f"{found[1]}-{seconds}-{number}"
        if UUID.fullmatch(text):
            return str(uuid.uuid4())
        if found := TASK.fullmatch(text):
            return f"{found[1]}-{number:x}"
        return text

    def _once(self, name: str, text: str, make: Callable[[], str]) -> str:
        """The value that was made before of an equal one, else another."""
        if (name, text) not in self._made:
            self._made[name, text] = make()
        return self._made[name, text]
