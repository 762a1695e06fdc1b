"""What `bridge tail` shows on a terminal, and what its keys change of it; neither Kafka nor the terminal is touched."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import orjson
from aiokafka import ConsumerRecord
from rich.cells import chop_cells
from rich.console import Group
from rich.text import Text

from bridge.contract.record_line import content_of, describe_record, key_of
from common.kafka.record_size import record_size
from common.kafka.record_time import record_time
from common.text import plural, printable, text_of

MOST_KEPT = 2000
MAX_KEPT_BYTES = 32 * 1024 * 1024
MAX_FILTER_CHARS = 200
MAX_SHOWN_CHARS = 200_000
KEYS = "↑ ↓ choose  Enter open  q end  / filter  p pause  r send again  g G first, last"
"""What one needs most stands first: a narrow terminal shows the beginning."""
KEYS_OPENED = "↑ ↓ scroll  Esc back  q end  r send again"


class KeptLine:
    """A record that is listed; what that takes is made when it is seen.

    Args:
        record: it.
    """

    def __init__(self, record: ConsumerRecord) -> None:
        self.record = record
        self.size = record_size(record)

    @cached_property
    def line(self) -> Text:
        """The record in one line."""
        return describe_record(self.record)

    def contains(self, text: str) -> bool:
        """Whether the text, in small letters, is in its value or its line."""
        return text in (self.record.value or b"").decode(errors="replace").lower() or text in self.line.plain.lower()

    def whole(self) -> str:
        """All that the record is, in lines."""
        record = self.record
        time = record_time(record) or "no time"
        head = [f"{record.topic}, partition {record.partition}, offset {record.offset}, {time}"]
        head.append(f"key {key_of(record)}")
        head += [f"{name}: {(value or b'').decode(errors='backslashreplace')}" for name, value in record.headers]
        return "\n".join([*head, "", _value(record)])[:MAX_SHOWN_CHARS]


def _value(record: ConsumerRecord) -> str:
    value = record.value
    if value is None:
        return "deleted"
    try:
        return orjson.dumps(orjson.loads(value), option=orjson.OPT_INDENT_2).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return str(value.decode(errors="backslashreplace"))


@dataclass
class TailScreen:
    """The state of the view: many fields, because a key may change any of them.

    No record that comes changes what is chosen; with nothing chosen the newest are seen.
    """

    topic: str
    send_again: Callable[[ConsumerRecord], None]
    """Called once the person has confirmed it."""
    end: Callable[[], None]
    height: int = 24
    width: int = 80
    state: str = ""
    """Whether Kafka is there, in one line."""
    message: str = ""
    """What came of the last key."""
    text: str = ""
    """What a record must contain."""
    is_typing: bool = False
    is_paused: bool = False
    is_asking: bool = False
    chosen: KeptLine | None = None
    opened: KeptLine | None = None
    scrolled: int = 0
    came: int = 0
    kept: deque[KeptLine] = field(default_factory=deque)
    held: deque[KeptLine] = field(default_factory=deque)
    """What came while it is paused."""
    kept_bytes: int = 0

    def add(self, record: ConsumerRecord) -> None:
        """A record has come."""
        self.came += 1
        line = KeptLine(record)
        (self.held if self.is_paused else self.kept).append(line)
        self.kept_bytes += line.size
        while len(self.kept) + len(self.held) > MOST_KEPT or self.kept_bytes > MAX_KEPT_BYTES:
            # The oldest go, but not what somebody reads as long as it is paused.
            gone = (self.held or self.kept).popleft()
            self.kept_bytes -= gone.size
            if gone is self.chosen:
                self.chosen = self.kept[0] if self.kept else None

    def press(self, key: str) -> None:
        """Do what a key means."""
        self.message = ""
        if self.is_asking:
            self._answer(key)
        elif self.is_typing:
            self._type(key)
        elif key == "q":
            self.end()
        elif key == "r":
            self._ask()
        elif self.opened is not None:
            self._read(key)
        else:
            self._list(key)

    def paste(self, text: str) -> None:
        """Take the first line of what is pasted into the filter that is being typed; elsewhere it does nothing."""
        if not self.is_typing:
            self.message = "press / first: what is pasted can only be looked for"
            return
        first = next(iter(text.strip().splitlines()), "")
        for letter in filter(str.isprintable, first):
            self._type(letter)

    def visible(self) -> list[KeptLine]:
        """What fits the text."""
        wanted = self.text.lower()
        return [one for one in self.kept if not wanted or one.contains(wanted)]

    def drawn(self) -> Group:
        """What is seen: as many lines as there are."""
        body_lines = max(1, self.height - 2)
        body = self._listed_lines(body_lines) if self.opened is None else self._opened_lines(body_lines)
        body += [Text()] * (body_lines - len(body))
        lines = [self._head(), *body, self._foot()][-max(1, self.height) :]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
            line.truncate(self.width)
        return Group(*lines)

    def _answer(self, key: str) -> None:
        self.is_asking = False
        record = self._at_hand()
        if key == "y" and record is not None:
            self.message = "posting…"
            self.send_again(record.record)
        else:
            self.message = "not sent"

    def _type(self, key: str) -> None:
        if key in {"enter", "escape"}:
            self.is_typing = False
            self.text = self.text if key == "enter" else ""
        elif key == "backspace":
            self.text = self.text[:-1]
        elif len(key) == 1 and len(self.text) < MAX_FILTER_CHARS:
            self.text += key
        if self.chosen is not None and self.chosen not in self.visible():
            self.chosen = None

    def _ask(self) -> None:
        at_hand = self._at_hand()
        if at_hand is None:
            self.message = "choose an event first, by ↑ and ↓"
        elif not content_of(at_hand.record).get("callbackcommand"):
            self.message = "only an event can be sent again; dead letters: `bridge dlq`, `consumers dlq`"
        else:
            self.is_asking = True

    def _at_hand(self) -> KeptLine | None:
        return self.opened or self.chosen

    def _read(self, key: str) -> None:
        page = max(1, self.height - 3)
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -page, "page down": page, " ": page}
        if key in {"escape", "enter", "backspace"}:
            self.opened = None
        elif key in {"home", "g"}:
            self.scrolled = 0
        elif key in {"end", "G"}:
            self.scrolled = MAX_SHOWN_CHARS
        else:
            self.scrolled = max(0, self.scrolled + steps.get(key, 0))

    def _list(self, key: str) -> None:
        page = max(1, self.height - 3)
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -page, "page down": page, " ": page}
        if key in steps:
            self._step(steps[key])
        elif key in {"home", "g"}:
            self.chosen = next(iter(self.visible()), None)
        elif key in {"end", "G", "escape"}:
            self.chosen = None
        elif key == "/":
            self.is_typing = True
        elif key == "p":
            self._pause()
        elif key == "enter" and (found := self.chosen or next(reversed(self.visible()), None)):
            self.chosen = self.opened = found
            self.scrolled = 0

    def _step(self, step: int) -> None:
        lines = self.visible()
        if not lines:
            return
        at = lines.index(self.chosen) + step if self.chosen in lines else len(lines) - 1
        self.chosen = lines[min(max(at, 0), len(lines) - 1)]

    def _pause(self) -> None:
        self.is_paused = not self.is_paused
        if not self.is_paused:
            self.kept += self.held
            self.held.clear()

    def _head(self) -> Text:
        parts = [self.topic, plural(self.came, "record")]
        if self.is_paused:
            parts.append(f"paused, {len(self.held)} more have come")
        if self.text and not self.is_typing:
            parts.append(f"only what has {self.text!r}")
        parts.append(self.state)  # The last, for it may be longer than the line.
        line = Text("  ".join(printable(one) for one in parts if one), "reverse")
        line.pad_right(max(0, self.width - line.cell_len))
        return line

    def _foot(self) -> Text:
        if self.is_asking and (at_hand := self._at_hand()):
            command = content_of(at_hand.record).get("callbackcommand")
            return Text(f"y n  Post {printable(text_of(command))} again, as a new callback?", "bold yellow")
        if self.is_typing:
            return Text(f"/{self._typed()}▏ Enter keeps it, Esc clears it", "bold")
        if self.message:
            return Text(printable(self.message), "yellow")
        return Text(KEYS if self.opened is None else KEYS_OPENED, "dim")

    def _typed(self) -> str:
        """As much of the end of what is typed as one can see."""
        return (chop_cells(printable(self.text)[::-1], max(1, self.width - 3)) or [""])[0][::-1]

    def _listed_lines(self, count: int) -> list[Text]:
        lines = self.visible()
        if not lines:
            return [Text("Nothing has come yet that fits." if self.text else "Nothing has come yet.", "dim")]
        end = len(lines)
        if self.chosen in lines:
            # As far down as there is something below it, else where it was.
            end = min(len(lines), max(lines.index(self.chosen) + 1 + count // 2, count))
        shown = []
        for one in lines[max(0, end - count) : end]:
            line = one.line.copy()
            if one is self.chosen:
                line.stylize("reverse")
            shown.append(line)
        return shown

    def _opened_lines(self, count: int) -> list[Text]:
        assert self.opened is not None
        lines = [
            part
            for line in printable(self.opened.whole(), keep_newlines=True).split("\n")
            for part in (chop_cells(line, self.width) or [""])
        ]
        self.scrolled = min(self.scrolled, max(0, len(lines) - count))
        return [Text(line) for line in lines[self.scrolled : self.scrolled + count]]
