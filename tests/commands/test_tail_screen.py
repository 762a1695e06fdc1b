"""What `bridge tail` shows on a terminal, key by key."""

from __future__ import annotations

import asyncio
import io
import os
from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord
from rich.cells import cell_len
from rich.console import Console

from bridge.commands.tail_keys import MAX_PASTED_CHARS, TypedKeys, keys_of_terminal, names_of
from bridge.commands.tail_screen import MAX_KEPT_BYTES, MOST_KEPT, TailScreen
from tests.support.http import until

HEIGHT, WIDTH = 10, 60


class Shown:
    """The view of a topic, and what it did."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.ends = 0
        self.screen = TailScreen("im.events", self.sent.append, self._end, height=HEIGHT, width=WIDTH)

    def _end(self) -> None:
        self.ends += 1

    def come(self, *subjects: str, **fields: Any) -> None:
        """An event about each."""
        for subject in subjects:
            event = {"specversion": "1.0", "type": "im.c2c.message.sent", "subject": subject, "data": {}} | fields
            self.add(orjson.dumps(event))

    def add(self, value: bytes | None, *headers: tuple[str, bytes]) -> None:
        """A record."""
        self.screen.add(ConsumerRecord("im.events", 0, 1, 1_670_574_414_987, 0, b"key", value, None, 3, 0, headers))

    def press(self, *keys: str) -> None:
        """Key after key."""
        for key in keys:
            self.screen.press(key)

    def lines(self) -> list[str]:
        """What is seen."""
        console = Console(file=io.StringIO(), width=WIDTH, height=HEIGHT, color_system=None)
        console.print(self.screen.drawn())
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue().splitlines()

    def text(self) -> str:
        """The same as one text."""
        return "\n".join(self.lines())


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_the_newest_are_seen_until_one_is_chosen_which_then_stays(shown: Shown) -> None:
    shown.come(*(f"user-{number}" for number in range(50)))
    assert "user-49" in shown.text()
    shown.press("up", "up", "up")
    shown.come(*(f"later-{number}" for number in range(50)))
    shown.press("enter")
    assert '"subject": "user-47"' in shown.screen.opened.whole()  # type: ignore[union-attr]
    shown.press("escape", "escape")
    assert "later-49" in shown.text()


def test_a_record_is_seen_whole_and_scrolled(shown: Shown) -> None:
    shown.come("ann", data={f"field_{number}": "x" * 100 for number in range(9)})
    shown.press("enter")
    assert "partition 0, offset 1" in shown.text()
    shown.press("end")
    assert "field_8" in shown.text()
    shown.press("home")
    assert "partition 0, offset 1" in shown.text()
    shown.press("escape")
    assert "Enter open" in shown.text()


def test_a_filter_leaves_what_has_the_text_whatever_the_case(shown: Shown) -> None:
    shown.come("ann", "bob", "安娜")
    shown.press("/", *"BOB", "enter")
    assert "bob" in shown.text()
    assert "ann" not in shown.text()
    shown.press("/", "backspace", "backspace", "backspace", *"安", "enter")
    assert "安娜" in shown.text()
    shown.press("/", *"nobody", "enter")
    assert "that fits" in shown.text()
    shown.press("/", "escape")
    assert "ann" in shown.text()


def test_while_it_is_paused_what_comes_is_counted_and_then_shown(shown: Shown) -> None:
    shown.come("before")
    shown.press("p")
    shown.come("meanwhile")
    assert "paused, 1 more" in shown.text()
    assert "meanwhile" not in shown.text()
    shown.press("p")
    assert "meanwhile" in shown.text()


def test_an_event_is_sent_again_once_it_is_confirmed(shown: Shown) -> None:
    shown.press("r")
    assert "choose an event first" in shown.text()
    shown.come("ann", callbackcommand="C2C.CallbackAfterSendMsg")
    shown.press("up", "r")
    assert "C2C.CallbackAfterSendMsg again" in shown.text()
    shown.press("n")
    assert "not sent" in shown.text()
    assert shown.sent == []
    shown.press("r", "y")
    assert len(shown.sent) == 1


def test_what_is_no_event_is_not_sent(shown: Shown) -> None:
    shown.add(b"{", ("reason", b"not_json"))
    shown.press("up", "r", "y")
    assert shown.sent == []


@pytest.mark.parametrize("key", ["q"])
def test_it_ends_where_nothing_is_typed(shown: Shown, key: str) -> None:
    shown.press("/", key)
    assert shown.ends == 0
    shown.press("enter", key)
    assert shown.ends == 1


@pytest.mark.parametrize(
    "value",
    [None, b"", b"\xff\x00", b"[1]", b'{"specversion":"1.0","data":' + b"[" * 900 + b"]" * 900 + b"}"],
    ids=["deleted", "empty", "bytes", "list", "deep"],
)
def test_any_record_is_listed_opened_and_filtered(shown: Shown, value: bytes | None) -> None:
    shown.add(value, ("reason", b"\x1b[31m\xff"))
    shown.press("/", "x", "escape", "up", "enter", "end")
    assert "\x1b" not in shown.text()
    assert len(shown.lines()) == HEIGHT


def test_memory_is_bounded_also_where_it_is_paused_and_headers_hold_whole_bodies(shown: Shown) -> None:
    shown.come(*(str(number) for number in range(MOST_KEPT)))
    shown.press("home", "p")
    shown.come(*(str(number) for number in range(MOST_KEPT)))
    assert len(shown.screen.kept) + len(shown.screen.held) == MOST_KEPT
    shown.press("p")
    for _ in range(40):
        shown.add(b"x" * (1024 * 1024), ("raw-body", b"x" * (1024 * 1024)))
    held_bytes = sum(len(one.record.value) + len(one.record.headers[0][1]) for one in shown.screen.kept)
    assert held_bytes <= shown.screen.kept_bytes <= MAX_KEPT_BYTES
    assert shown.screen.kept_bytes == sum(one.size for one in shown.screen.kept)
    shown.press("up", "down", "enter")
    assert len(shown.lines()) == HEIGHT


def test_keys_have_names_and_what_has_none_does_nothing() -> None:
    typed = "\x1b[A\x1bOBj安\r\x1b[5~\x1b[200~\x7f\x01\x1b"
    assert names_of(typed) == ["up", "down", "j", "安", "enter", "page up", "backspace", "escape"]


HOSTILE = (
    "安娜" * 50,
    "👩‍👩‍👧‍👦 e\u0301" * 30,
    "\x1b[2J\x1b]0;title\x07",
    "\u202eabc\u202d",
    "a\tb\r\nc",
    "\x9b31m",
    "Z" + "\u0300" * 500,
)


@pytest.mark.parametrize("width", [1, 2, 5, 20, 200])
@pytest.mark.parametrize("height", [1, 2, 3, 24])
def test_nothing_that_a_record_says_leaves_the_terminal_or_is_obeyed_by_it(width: int, height: int) -> None:
    shown = Shown()
    shown.screen.width, shown.screen.height = width, height
    for text in HOSTILE:
        shown.come(text, type=text, time=text, callbackcommand=text, data={text: text, "list": [text]})
        shown.add(text.encode(), ("reason", text.encode()))
    for key in ("", *["up", "enter", "end", "escape", "r", "n"] * 7, "/", *"安娜" * 30, "enter"):
        shown.screen.press(key)
        console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
        console.print(shown.screen.drawn())
        assert isinstance(console.file, io.StringIO)
        seen = console.file.getvalue()
        assert not set(seen) & set("\x1b\x07\x9b\u202e\t\r")
        assert max(map(cell_len, seen.splitlines())) <= width
        assert len(seen.splitlines()) <= height


def test_a_narrow_terminal_shows_how_to_end_it_and_what_is_asked(shown: Shown) -> None:
    shown.come("ann", callbackcommand="C2C.CallbackAfterSendMsg")
    shown.screen.width = 32
    assert "q end" in shown.text()
    shown.press("up", "r")
    assert "y n  Post C2C" in shown.text()
    shown.press("n", "/", *"a long text, longer than there is room", "!")
    assert "there is room!▏" in shown.text()


async def test_a_key_that_comes_in_parts_is_one_key_and_escape_alone_is_escape() -> None:
    pressed: list[str] = []
    ours, theirs = os.openpty()
    try:
        with keys_of_terminal(theirs, pressed.append, pressed.append):
            for part in (b"\x1b", b"[", b"A", b"\x1b[5", b"~j", "安".encode()[:1], "安".encode()[1:]):
                os.write(ours, part)
                await asyncio.sleep(0)
            await until(lambda: len(pressed) == 4)
            os.write(ours, b"\x1b")
            await until(lambda: len(pressed) == 5)
    finally:
        os.close(ours)
        os.close(theirs)
    assert pressed == ["up", "page up", "j", "安", "escape"]


async def test_what_is_pasted_presses_no_key_whatever_it_says_and_however_it_comes() -> None:
    pressed: list[str] = []
    pasted: list[str] = []
    ours, theirs = os.openpty()
    text = "qry\r/安\x1b[A"
    sent = b"/\x1b[200~" + text.encode() + b"\x1b[201~q"
    try:
        with keys_of_terminal(theirs, pressed.append, pasted.append):
            os.write(ours, sent)
            await until(lambda: pressed == ["/", "q"])
            for byte in sent:
                os.write(ours, bytes([byte]))
                await asyncio.sleep(0)
            await until(lambda: pressed == ["/", "q"] * 2)
        told = b""
        while b"\x1b[?2004l" not in told:  # What is written to a terminal comes out of it a moment later.
            told += os.read(ours, 4096)
    finally:
        os.close(ours)
        os.close(theirs)
    assert pasted == [text.replace("\r", "\n")] * 2
    assert (told.count(b"\x1b[?2004h"), told.count(b"\x1b[?2004l")) == (1, 1)


def test_a_paste_without_end_takes_bounded_memory_and_keys_are_heard_after_it() -> None:
    pressed: list[str] = []
    pasted: list[str] = []
    keys = TypedKeys(pressed.append, pasted.append)
    keys.take("\x1b[200~")
    for _ in range(100):
        keys.take("x" * MAX_PASTED_CHARS)
    assert not keys.awaits_rest
    keys.take("\x1b[201~j")
    assert pasted == ["x" * MAX_PASTED_CHARS]
    assert pressed == ["j"]


def test_what_is_pasted_is_looked_for_and_does_nothing_else(shown: Shown) -> None:
    shown.come("ann", "bob", callbackcommand="C2C.CallbackAfterSendMsg")
    shown.press("up", "r")
    shown.screen.paste("y")
    assert shown.sent == []
    shown.press("n")
    shown.screen.paste("q")
    assert "press / first" in shown.text()
    assert shown.ends == 0
    shown.press("/")
    shown.screen.paste("  bo\x1b\tb\nand more\n")
    shown.press("enter")
    assert shown.screen.text == "bob"
    assert "ann" not in shown.text()
