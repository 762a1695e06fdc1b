"""The names of journal files: a number that orders them, who made them, and nothing of the clock.

A process gives its file a number above all that it finds in the folder, so the order is right even if the clock was set
back. Two processes may take the same number: between them no order is promised. Files of version 0.1.0 are numbered by
the clock, in nanoseconds, which makes theirs the highest; what is made beside them is counted on from there.
"""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

SUFFIX = ".journal"
DAMAGED_SUFFIX = ".damaged"
NUMBER_DIGITS = 20
NAME = re.compile(rf"(\d{{{NUMBER_DIGITS},}})-(.+)-(\d+)-[0-9a-f]{{8}}")


class JournalName(NamedTuple):
    """What the name of a journal file says."""

    number: int
    """Orders the files of a folder; 0 where the name is not of our form."""
    host: str
    """Where it was made; empty where the name is not of our form."""
    process: str
    """The id of the process that made it; empty where the name is not of our form."""

    @classmethod
    def of(cls, path: Path) -> JournalName:
        """What the name of a file says."""
        match = NAME.fullmatch(path.stem)
        return cls(int(match[1]), match[2], match[3]) if match else cls(0, "", "")

    @property
    def is_of_our_form(self) -> bool:
        """Whether we might have made it."""
        return bool(self.process)


def in_order(path: Path) -> tuple[int, str]:
    """What journal files are sorted by."""
    return JournalName.of(path).number, path.name


def journals_in(folder: Path) -> list[Path]:
    """All that is named like a journal, in order. Nothing, where there is no such folder.

    Raises:
        OSError: the folder cannot be read.
    """
    return _named(folder, SUFFIX)


def damaged_in(folder: Path) -> list[Path]:
    """The journals that were renamed because they are damaged, in order. Nothing, where there is no such folder.

    Raises:
        OSError: the folder cannot be read.
    """
    return _named(folder, DAMAGED_SUFFIX)


def new_path(folder: Path, number: int) -> Path:
    """A name for a new file of ours."""
    name = f"{number:0{NUMBER_DIGITS}d}-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}{SUFFIX}"
    return folder / name


def next_number(folder: Path) -> int:
    """A number above all in the folder.

    Raises:
        OSError: it cannot be read.
    """
    used = (JournalName.of(path).number for path in (*journals_in(folder), *damaged_in(folder)))
    return max(used, default=0) + 1


def _named(folder: Path, suffix: str) -> list[Path]:
    # `Path.glob` finds nothing in a folder that we may not read, and does not say so.
    try:
        with os.scandir(folder) as entries:
            found = [folder / entry.name for entry in entries if entry.name.endswith(suffix)]
    except FileNotFoundError:
        return []
    return sorted(found, key=in_order)
