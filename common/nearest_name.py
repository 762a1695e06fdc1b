"""What somebody means who misspells a name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest_name(text: str, names: Iterable[str], *, cutoff: float) -> str | None:
    """The name that a misspelt one is most like, whatever their case; None where it is like none.

    Args:
        text: the misspelt one.
        names: those that there are.
        cutoff: how alike two names must be, from 0.0 to 1.0, by `difflib`.
    """
    by_lower_case = {name.lower(): name for name in sorted(names)}
    near = get_close_matches(text.lower(), by_lower_case, n=1, cutoff=cutoff)
    return by_lower_case[near[0]] if near else None
