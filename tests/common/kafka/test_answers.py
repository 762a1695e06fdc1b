"""Answers of a broker are cut out of what arrives, in whatever pieces that comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.kafka.answers import AnswerReader


class Heard:
    """What a reader has told."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.ends: list[Exception] = []
        self.lost: list[Exception | None] = []
        self.reader = AnswerReader(on_answer=self.answers.append, on_end=self.ends.append, on_lost=self.lost.append)


def framed(answers: list[bytes]) -> bytes:
    return b"".join(len(answer).to_bytes(4, "big") + answer for answer in answers)


@given(st.lists(st.binary(min_size=4, max_size=40), max_size=6), st.lists(st.integers(1, 50), min_size=1))
def test_whatever_pieces_answers_come_in_they_are_the_same(answers: list[bytes], sizes: list[int]) -> None:
    heard, left, number = Heard(), framed(answers), 0
    while left:
        size = sizes[number % len(sizes)]
        heard.reader.data_received(left[:size])
        left, number = left[size:], number + 1
    assert heard.answers == answers
    assert not heard.ends


@pytest.mark.parametrize("size", [3, 0, -1, -(2**31)])
def test_an_answer_that_cannot_be_one_ends_the_reading(size: int) -> None:
    heard = Heard()
    heard.reader.data_received(size.to_bytes(4, "big", signed=True) + bytes(40))
    [error] = heard.ends
    assert str(error) == f"an answer of {size} bytes is none"
    assert not heard.answers


def test_what_is_wrong_with_an_answer_ends_the_reading() -> None:
    ends: list[Exception] = []
    wrong = ValueError("of another request")

    def refuse(_answer: bytes) -> None:
        raise wrong

    reader = AnswerReader(on_answer=refuse, on_end=ends.append, on_lost=lambda _error: None)
    reader.data_received(framed([b"1234", b"5678"]))
    assert ends == [wrong], "what follows is not read"


def test_the_end_of_a_connection_is_told() -> None:
    heard = Heard()
    heard.reader.data_received(framed([b"12345"])[:6])
    heard.reader.eof_received()
    heard.reader.connection_lost(None)
    assert [type(error) for error in heard.ends] == [EOFError]
    assert heard.lost == [None]
    assert not heard.answers
