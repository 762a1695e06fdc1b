"""Whole numbers, however they are written: a gateway that reads and writes a body anew makes 7.0 of 7, or "7"."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

LEAST, GREATEST = -(2**63), 2**63 - 1
"""What every JSON reader that has 64 bits takes for a whole number; what is beyond is passed on as it came."""
EXACT_BELOW = 2**53
"""A number with a fraction or an exponent is exact up to here; beyond, nobody knows which whole number it was."""
MAX_CHARS = 40
_FORM = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?")
"""A number as JSON writes it. Of an exponent with more digits nothing would be left below GREATEST."""


def whole_number(value: Any) -> int | None:
    """The whole number that a value of a body stands for: `7`, `7.0`, `7e0` and the same as text; else None."""
    kind = type(value)
    if kind is str:
        return _whole_text(value)
    if kind is float:
        return int(value) if value.is_integer() and abs(value) <= EXACT_BELOW else None
    return value if kind is int and LEAST <= value <= GREATEST else None


def _whole_text(text: str) -> int | None:
    if text.isdigit() and text.isascii() and len(text) < 19 and not text.startswith("0"):
        return int(text)  # Of the usual times as text it takes a tenth of the time.
    if len(text) > MAX_CHARS or not _FORM.fullmatch(text):
        return None
    number = Decimal(text)
    if number != number.to_integral_value() or not LEAST <= number <= GREATEST:
        return None
    if number == 0 and text.startswith("-"):
        return None  # Nobody writes nothing with a sign but for a reason.
    return int(number)
