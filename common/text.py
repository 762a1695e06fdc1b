"""Text for people and terminals: what must not reach a terminal, and numbers of things."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_JOINERS = "\u200c\u200d"
"""Invisible, harmless, and needed to read emoji and some scripts."""


_PASSWORD_IN_URL = re.compile(r"(://[^\s/:@]*:)[^\s/@]+@")


def plural(count: int, one: str, many: str = "") -> str:
    """A number of things in words: `1 dead letter`, `2 dead letters`.

    Args:
        count: how many.
        one: the name of one of them.
        many: the name of several, where it is not that of one with an `s`.
    """
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def text_of(value: Any) -> str:
    """A value of JSON where a text belongs; empty for null, and for a list or an object.

    These are of nobody who means well, and may go deeper than Python can write.
    """
    return "" if value is None or isinstance(value, list | dict) else str(value)


def duration(seconds: float) -> str:
    """A time in words, in its largest unit: `12 s`, `5 min`, `3 h`, `2 days`."""
    for unit, length_s, limit_s in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < limit_s:
            return f"{max(0, int(seconds / length_s))} {unit}"
    return f"{int(seconds / 86_400)} days"


def byte_size(count: float) -> str:
    """A number of bytes in words, in its largest unit: `512 B`, `3.4 MiB`."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def printable(text: str, *, keep_newlines: bool = False) -> str:
    r"""The text with all that a terminal would obey as escapes, such as `\x1b`: it may come from users of the app.

    That is: control characters (C0 with tab and newline, C1), controls of the direction of writing, and all else that
    has no shape of its own. Letters, emoji and spaces of all scripts stay as they are.

    Args:
        text: any text; of bytes: `value.decode(errors="backslashreplace")`.
        keep_newlines: leave `\n`, for text of several lines. A result of one line cannot pretend to be several.
    """
    if text.isprintable():
        return text
    kept = "\n" if keep_newlines else ""
    return "".join(one if one in kept or _has_shape(one) else one.encode("unicode_escape").decode() for one in text)


def safe_output(text: str) -> str:
    r"""Lines as they may leave for a terminal: as `printable`, with escapes such as `\u001b` that JSON has too.

    So what was JSON before is JSON still, and means the same. Tabs and ends of lines stay.
    """
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(one if one in "\n\t" or _has_shape(one) else json_escape(one) for one in text)


def _has_shape(one: str) -> bool:
    return one.isprintable() or one in _JOINERS or unicodedata.category(one) == "Zs"


def json_escape(text: str) -> str:
    r"""All of the text as escapes such as `\u001b`, which mean the same in JSON."""
    units = text.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def without_passwords(text: str) -> str:
    """The text with stars for the password of each address in it, such as `redis://user:password@host`."""
    return _PASSWORD_IN_URL.sub(r"\1**********@", text) if "://" in text else text
