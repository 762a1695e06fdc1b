"""Certificates and passwords that are read anew for each connection, since somebody renews them while we run."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from common.logs import fields

FileVersions = tuple[tuple[int, int, int] | None, ...]

log = logging.getLogger(__name__)


def versions_of(files: Iterable[Path]) -> FileVersions:
    """Equal as long as the files hold the same: of each inode, size and time of change; None where there is no file."""
    return tuple(map(_version_of, files))


def _version_of(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


class RenewedContext(ssl.SSLContext):
    """A context for TLS that each connection gets as its files are then.

    A client keeps its context as long as it lives, and connects again to brokers that were away. With a plain context
    it would show its first certificate until it is refused everywhere.

    Args:
        make: makes a context from the files. Raises OSError, ssl.SSLError where they cannot be read.
        files: they.
    """

    def __new__(cls, *_arguments: Any) -> RenewedContext:
        """Of clients."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, make: Callable[[], ssl.SSLContext], files: Iterable[Path]) -> None:
        self._make = make
        self._files = tuple(files)
        self._read = self._refused = versions_of(self._files)
        self._current = make()

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """As of any context; asyncio calls it for each connection."""
        return self._renewed().wrap_bio(*arguments, **options)

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """As of any context."""
        return self._renewed().wrap_socket(*arguments, **options)

    def _renewed(self) -> ssl.SSLContext:
        now = versions_of(self._files)
        if now != self._read:
            try:
                self._current, self._read = self._make(), now
            except OSError as error:  # also ssl.SSLError: a certificate whose key has not been replaced yet
                if now != self._refused:
                    self._refused = now
                    names = ", ".join(map(str, self._files))
                    log.warning(
                        "a renewed certificate cannot be read, the former stays in use (%s): %s",
                        names,
                        error,
                        extra=fields("certificate_refused", reason=str(error)),
                    )
            else:
                log.info(
                    "the certificates were read anew: %s",
                    ", ".join(map(str, self._files)),
                    extra=fields("certificate_renewed"),
                )
        return self._current


class RenewedPassword(str):
    """A password as it is now, with the way to read it anew.

    Args:
        read: what it is at each call.
    """

    __slots__ = ("read",)
    read: Callable[[], str]

    def __new__(cls, read: Callable[[], str]) -> RenewedPassword:
        """As `read` gives it now."""
        made = super().__new__(cls, read())
        made.read = read
        return made
