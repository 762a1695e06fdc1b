"""What the platform's REST API answers, and what is to be done about it."""

from __future__ import annotations

import pytest

from common.rest.api import classify


@pytest.mark.parametrize(
    ("codes", "error_class"),
    [
        ((60007, 60011, 60019), "busy"),
        ((50003, 60002, 60003, 60004, 60006, 60010, 60012, 60020, 70001, 70009, 70013, 90009), "refused"),
        ((70107, 90003, 90012, 90048), "account"),
        ((60008, 60009, 60014, 70169, 70500, 90992, 90994, 91000, 12345), "failing"),
    ],
)
def test_error_codes_have_the_class_that_says_what_to_do(codes: tuple[int, ...], error_class: str) -> None:
    assert {classify(code) for code in codes} == {error_class}
