"""What a check of `bridge doctor` has found."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """The outcome of one check."""

    subject: str
    is_good: bool
    detail: str
