"""Mends a line that only a lax reader can read, as the body of a callback is mended.

| in the line | becomes |
| --- | --- |
| half of a surrogate pair, as a cut emoji leaves it | U+FFFD |
| bytes that are not UTF-8 | U+FFFD |
| `NaN`, `Infinity`, a number beyond what a double holds | a string of its text |
| a whole number beyond 64 bits | a string of its digits |
| raw control characters in strings | the same, escaped |
"""

from __future__ import annotations

import json
import math

from consumers.archive.differing import GREATEST, LEAST


def repair(line: bytes) -> tuple[bytes, bool]:
    """A line as strict JSON, and whether a half of a pair in it was replaced.

    Raises:
        ValueError: it is no JSON, for a lax reader either.
        RecursionError: it is nested too deeply.
    """
    value = json.loads(_text(line), strict=False, parse_constant=str, parse_float=_number, parse_int=_whole)
    dumped = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    whole = dumped.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.encode(), whole != dumped


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8", "surrogatepass")  # Some writers encode each half of a surrogate pair by itself.
    except UnicodeDecodeError:
        return line.decode("utf-8", "replace")


def _number(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= 20 and LEAST <= int(digits) <= GREATEST else digits
