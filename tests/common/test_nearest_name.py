"""A misspelt name is told from one that is like nothing that there is."""

from __future__ import annotations

import pytest

from common.nearest_name import nearest_name

NAMES = ("badges", "forward", "Reconcile")


@pytest.mark.parametrize(
    ("text", "meant"),
    [("badge", "badges"), ("FORWRAD", "forward"), ("reconcil", "Reconcile"), ("notify", None), ("", None)],
)
def test_the_nearest_name_is_found_whatever_its_case(text: str, meant: str | None) -> None:
    assert nearest_name(text, NAMES, cutoff=0.6) == meant
