"""The number of a record, in a header of it: `bridge-seq: <process>/<epoch>/<number>`, in ASCII.

A *process* is an ingress process that keeps its id across restarts, an *epoch* one life of it, the *number* counts the
records of a topic that it took in that life, from 1. A record that is published twice has the same number twice.
"""

from __future__ import annotations

import re
from typing import NamedTuple

HEADER = "bridge-seq"
MAX_EPOCH = 9_999_999_999
"""What has room in the header: in seconds, until the year 2286."""

_FORM = re.compile(rb"([a-z0-9]{1,32})/([1-9][0-9]{0,9})/([1-9][0-9]{0,17})")


class Life(NamedTuple):
    """A process in one of its lives: what numbers are counted in."""

    process: str
    epoch: int

    @property
    def name(self) -> str:
        """`<process>/<epoch>`, which also is the key of its statements."""
        return f"{self.process}/{self.epoch}"


class RecordNumber(NamedTuple):
    """Which record it is, of those of its topic."""

    process: str
    epoch: int
    number: int

    @property
    def life(self) -> Life:
        """Whose number it is."""
        return Life(self.process, self.epoch)


def prefix_of(life: Life) -> bytes:
    """What the header's value begins with in a life; the number in decimal digits follows."""
    return f"{life.name}/".encode()


def parse_number(value: bytes) -> RecordNumber | None:
    """What a header's value says; None where it is not of our form, as of a record that somebody else wrote."""
    match = _FORM.fullmatch(value)
    return RecordNumber(match[1].decode(), int(match[2]), int(match[3])) if match else None


def parse_life(name: str) -> Life | None:
    """The life that is named so; None where it is not of our form."""
    number = parse_number(f"{name}/1".encode())
    return number.life if number else None
