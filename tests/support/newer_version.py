"""A version of the program that writes journals of a newer format than this one, and reads both."""

from __future__ import annotations

from bridge.journal.header import FORMAT_VERSION

NEWER_FORMAT = FORMAT_VERSION + 1
_BECOME_NEWER = f"""
import bridge.journal.header as header
header.FORMAT_VERSION = {NEWER_FORMAT}
import bridge.journal.store as store
def check(self, check=store.Store._check):
    is_older = self._connection.execute("PRAGMA user_version").fetchone() == ({FORMAT_VERSION},)
    if not is_older:
        check(self)
store.Store._check = check
"""


def as_newer_version(script: str) -> str:
    """Source that runs a script in a process which is that version."""
    return f"{_BECOME_NEWER}\n{script}"
