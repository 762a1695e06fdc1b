"""What was made lately is not made again, and no more is held than was said."""

from __future__ import annotations

import pytest

from common.remembered import Remembered


def test_what_is_asked_again_is_not_made_again_until_there_is_too_much() -> None:
    made: list[int] = []

    def make(key: int) -> str:
        made.append(key)
        return str(key)

    remembered = Remembered(make, most=3)
    for key in (1, 2, 1, 3, 2, 3):
        assert remembered[key] == str(key)
    assert made == [1, 2, 3]
    assert remembered[4] == "4"
    assert list(remembered) == [4]
    assert [remembered[1], remembered[4], made] == ["1", "4", [1, 2, 3, 4, 1]]


def test_what_cannot_be_made_is_not_remembered() -> None:
    remembered = Remembered[str, int](int, most=3)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            remembered["x"]
    assert not remembered
