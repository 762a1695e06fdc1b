"""The file `.env` in the working directory, which holds settings that the environment does not have."""

from __future__ import annotations

import logging
from pathlib import Path

from dotenv.parser import parse_stream

ENV_FILE = Path(".env")


def lines_without_effect() -> list[int]:
    """The numbers of the lines that cannot be understood, such as one whose quotes are not closed.

    Raises:
        OSError: the file is there and cannot be read.
        UnicodeDecodeError: it is no text in UTF-8.
    """
    library = logging.getLogger("dotenv")  # which would tell of them at each reading, and not of which file
    library.propagate = False
    library.addHandler(logging.NullHandler())
    if not ENV_FILE.is_file():
        return []
    with ENV_FILE.open(encoding="utf-8") as stream:
        return [binding.original.line for binding in parse_stream(stream) if binding.error]
