"""Numbers of things, and text that goes to terminals and programs at once."""

from __future__ import annotations

import json

import pytest

from common.text import duration, plural, safe_output


@pytest.mark.parametrize(
    ("count", "names", "shown"),
    [
        (0, ("dead letter",), "0 dead letters"),
        (1, ("dead letter",), "1 dead letter"),
        (2, ("dead letter",), "2 dead letters"),
        (1, ("process", "processes"), "1 process"),
        (3, ("process", "processes"), "3 processes"),
    ],
)
def test_a_number_of_things_is_told_as_people_do(count: int, names: tuple[str, ...], shown: str) -> None:
    assert plural(count, *names) == shown


def test_json_stays_json_of_the_same_meaning_whatever_characters_are_in_it() -> None:
    every = "".join(chr(code) for code in range(0x2FFFF) if not 0xD800 <= code < 0xE000) + "\ud800 \U000e0001"
    value = {every[0x20:0x300]: [every]}
    text = json.dumps(value, ensure_ascii=False)
    shown = safe_output(text)
    assert json.loads(shown) == value
    assert not [one for one in shown if not one.isprintable() and one not in "\u200c\u200d" and not one.isspace()]
    assert not {"\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u202e", "\u2066", "\U000e0001"} & set(shown)


def test_lines_columns_and_letters_of_all_scripts_stay_as_they_are() -> None:
    text = "a\tb\n你好 👩\u200d👧 naïve\u3000x\n"
    assert safe_output(text) == text
    assert safe_output("a\rb\x1b[31m\n") == "a\\u000db\\u001b[31m\n"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0 s"),
        (0.9, "0 s"),
        (119.9, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
        (1e9, "11574 days"),
    ],
)
def test_a_time_is_told_in_the_unit_that_is_read_most_easily(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown
