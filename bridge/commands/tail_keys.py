"""Keys of a terminal, one by one, as names."""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

READ_BYTES = 4096
SPLIT_S = 0.05
"""So long the rest of what a key sends may take, over a slow line: Escape alone is the beginning of others."""
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


@contextmanager
def keys_of_terminal(descriptor: int, press: Callable[[str], None]) -> Iterator[None]:
    """Tell `press` each key while the block lasts. Ctrl-C stays a signal.

    Args:
        descriptor: of a terminal, which is as it was afterwards.
        press: told in the event loop that runs.
    """
    before = termios.tcgetattr(descriptor)
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    loop = asyncio.get_running_loop()
    begun = ""
    rest: asyncio.TimerHandle | None = None

    def read() -> None:
        nonlocal begun, rest
        typed = os.read(descriptor, READ_BYTES)
        if not typed:  # The terminal is gone, of which a signal tells.
            loop.remove_reader(descriptor)
        text = begun + decoder.decode(typed)
        found = _BEGUN.search(text)
        begun = found[0] if found else ""
        if rest is not None:
            rest.cancel()
        rest = loop.call_later(SPLIT_S, give_up_on_rest) if begun else None
        tell(text.removesuffix(begun))

    def give_up_on_rest() -> None:
        nonlocal begun
        text, begun = begun, ""
        tell(text)

    def tell(text: str) -> None:
        for key in names_of(text):
            press(key)

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, read)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        if rest is not None:
            rest.cancel()
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
