"""What people see on a terminal, and what programs read instead."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from common.terminal import printable, progress_bar, show_table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\x9b31mred", r"\x9b31mred"),
        ("one\rtwo\nthree\tfour", r"one\rtwo\nthree\tfour"),
        ("ann\u202etxt.exe", r"ann\u202etxt.exe"),
        ("a\u2066b\u2069\u200f", r"a\u2066b\u2069\u200f"),
        ("a\u2028b\u2029c", r"a\u2028b\u2029c"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("half \ud800", r"half \ud800"),
    ],
    ids=["escape", "C1", "lines", "override", "isolates", "separators", "tags", "surrogate"],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "Grüße",
        "你好\u3000世界",
        "\u05e9\u05dc\u05d5\u05dd",
        "👨\u200d👩\u200d👧",
        "1\u202f000",
        "\u06a9\u200c\u062a",
    ],
)
def test_text_of_all_scripts_stays_readable(text: str) -> None:
    assert printable(text) == text


def test_newlines_can_be_kept_and_nothing_else_is() -> None:
    assert printable("a\nb\r\x1b\n", keep_newlines=True) == "a\nb\\r\\x1b\n"


def test_a_table_is_lines_with_tabs_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("name", "size"), [("a", "1"), ("b" * 200, "2")])
    assert capsys.readouterr().out == f"a\t1\n{'b' * 200}\t2\n"


def test_a_progress_bar_is_nothing_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("reading") as show:
        show(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_progress_bar_shows_how_far_it_is_and_what_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()

    def console(**_: Any) -> Console:
        return Console(file=screen, force_terminal=True, width=100)

    monkeypatch.setattr("common.terminal._Console", console)
    with progress_bar("reading") as show:
        show(0, None)
        show(3, 7, title="waiting: \x1b[0m[bold]")
    assert "3/7" in screen.getvalue()
    assert r"waiting: \x1b[0m[bold]" in screen.getvalue()
