"""Reads a lock file as `make lock` writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple


class LockedPackage(NamedTuple):
    """A package of the lock file."""

    name: str
    version: str
    hashes: tuple[str, ...]
    """SHA-256 of each file that may be installed."""
    needed_by: tuple[str, ...]
    """Names of packages; that of the project itself too."""


class NotLockedError(ValueError):
    """A line of the lock file is not as `make lock` writes them."""


def locked_packages(text: str) -> Iterator[LockedPackage]:
    """The packages of a lock file.

    Raises:
        NotLockedError: it has one without a version, a hash, or a reason.
    """
    for block in re.split(r"\n(?=[A-Za-z0-9])", "\n" + text)[1:]:
        found = re.match(r"([A-Za-z0-9._-]+)==(\S+)", block)
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
        via = re.findall(r"^    #(?: via)?(?: +)([A-Za-z0-9._-]+)", block, re.MULTILINE)
        needed_by = tuple(name for name in via if name != "via")
        if not found or not hashes or not needed_by:
            raise NotLockedError(f"{block.splitlines()[0]!r} has no version, hash, or need: run make lock")
        yield LockedPackage(found[1], found[2], hashes, needed_by)
