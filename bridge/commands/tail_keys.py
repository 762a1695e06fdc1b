"""Keys of a terminal, one by one, as names."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import re
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

READ_BYTES = 4096
MAX_PASTED_CHARS = 1000
"""So much of what is pasted is of use; the rest is not kept."""
SPLIT_S = 0.05
"""So long the rest of what a key sends may take, over a slow line: Escape alone is the beginning of others."""
_PASTE, _PASTED = "\x1b[200~", "\x1b[201~"
"""Before and after what is pasted, where the terminal was told so: none of it is a key that somebody pressed."""
_TELL_OF_PASTES, _TELL_NO_MORE = b"\x1b[?2004h", b"\x1b[?2004l"
_BEGUN = re.compile(r"\x1b(?:\[[0-9;]*|O)?$")
_KEY = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Z])|.", re.DOTALL)
_NAMES = {
    "\x1b": "escape",
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "\x1b[F": "end",
    "\x1bOF": "end",
    "\x1b[4~": "end",
}


def names_of(typed: str) -> list[str]:
    """The keys in what a terminal sends: letters as they are, others by name; what has no name is left out."""
    keys = [_NAMES.get(one, one) for one in _KEY.findall(typed)]
    return [key for key in keys if key in _NAMES.values() or (len(key) == 1 and key.isprintable())]


class TypedKeys:
    """Takes apart what a terminal sends, in whatever parts that comes.

    Args:
        press: told each key.
        paste: told what was pasted, the beginning of it; never a key.
    """

    def __init__(self, press: Callable[[str], None], paste: Callable[[str], None]) -> None:
        self._press = press
        self._paste = paste
        self._begun = ""
        """The beginning of a sequence whose rest has not come."""
        self._pasted: str | None = None
        """What has come of a paste that goes on."""

    @property
    def awaits_rest(self) -> bool:
        """Whether a key may have come in part."""
        return bool(self._begun) and self._pasted is None

    def take(self, text: str) -> None:
        """More has come."""
        text, self._begun = self._begun + text, ""
        while text:
            text = self._take_keys(text) if self._pasted is None else self._take_paste(text)

    def give_up_on_rest(self) -> None:
        """What was begun is all that there is: Escape alone, say."""
        text, self._begun = self._begun, ""
        self._tell(text)

    def _take_keys(self, text: str) -> str:
        keys, mark, rest = text.partition(_PASTE)
        if mark:
            self._pasted = ""
        else:
            keys = self._without_begun(keys)
        self._tell(keys)
        return rest

    def _take_paste(self, text: str) -> str:
        pasted, mark, rest = text.partition(_PASTED)
        if not mark:
            pasted = self._without_begun(pasted)
        whole = ((self._pasted or "") + pasted)[:MAX_PASTED_CHARS]
        self._pasted = None if mark else whole
        if mark:
            self._paste(whole)
        return rest

    def _without_begun(self, text: str) -> str:
        found = _BEGUN.search(text)
        self._begun = found[0] if found else ""
        return text.removesuffix(self._begun)

    def _tell(self, text: str) -> None:
        for key in names_of(text):
            self._press(key)


@contextmanager
def keys_of_terminal(descriptor: int, press: Callable[[str], None], paste: Callable[[str], None]) -> Iterator[None]:
    """Tell `press` each key, and `paste` what is pasted, while the block lasts. Ctrl-C stays a signal.

    Args:
        descriptor: of a terminal, which is as it was afterwards.
        press: told in the event loop that runs.
        paste: the same.
    """
    before = termios.tcgetattr(descriptor)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    loop = asyncio.get_running_loop()
    keys = TypedKeys(press, paste)
    rest: asyncio.TimerHandle | None = None

    def read() -> None:
        nonlocal rest
        typed = os.read(descriptor, READ_BYTES)
        if not typed:  # The terminal is gone, of which a signal tells.
            loop.remove_reader(descriptor)
        if rest is not None:
            rest.cancel()
        keys.take(decoder.decode(typed))
        rest = loop.call_later(SPLIT_S, keys.give_up_on_rest) if keys.awaits_rest else None

    tty.setcbreak(descriptor)
    _write(descriptor, _TELL_OF_PASTES)
    loop.add_reader(descriptor, read)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        if rest is not None:
            rest.cancel()
        _write(descriptor, _TELL_NO_MORE)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _write(descriptor: int, sequence: bytes) -> None:
    with contextlib.suppress(OSError):  # Standard input that cannot be written, or is gone: it does without.
        os.write(descriptor, sequence)
