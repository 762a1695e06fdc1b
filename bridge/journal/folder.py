"""The folder of the journals, which the processes of a machine share: whose are the files in it?"""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from bridge.journal.store import (
    DAMAGED_SUFFIX,
    SUFFIX,
    Backlog,
    DamagedError,
    OwnedError,
    Store,
    UnavailableError,
    is_owned,
    log_of,
)

log = logging.getLogger(__name__)

OPEN_ATTEMPTS = 5
OPEN_WAIT_S = 0.005, 0.05


def find_unowned(folder: Path) -> list[Path]:
    """The journals in `folder` whose owner is gone, without taking them."""
    return [path for path in sorted(folder.glob(f"*{SUFFIX}")) if not is_owned(path)]


def take_over(folder: Path, paths: Sequence[Path] | None = None) -> list[tuple[Store, list[Backlog]]]:
    """Open the journals that nobody owns, oldest first, among `paths` or all in `folder`.

    Empty ones are removed, damaged ones renamed.
    """
    taken: list[tuple[Store, list[Backlog]]] = []
    for path in sorted(folder.glob(f"*{SUFFIX}")) if paths is None else paths:
        try:
            store = _open(path)
            try:
                backlogs = store.backlog()
            except BaseException:
                store.close()  # Else nobody could try it again: it would seem to be ours.
                raise
            if backlogs:
                taken.append((store, backlogs))
            else:
                store.remove()
        except (FileNotFoundError, OwnedError):
            continue
        except DamagedError as error:
            _rename_damaged(path, error)
        except (UnavailableError, sqlite3.Error, OSError) as error:
            log.error("the journal %s cannot be taken over now (%s); it is kept and tried again", path, error)
    return taken


def _open(path: Path) -> Store:
    """Take over a file. Of processes that try at the same moment one gets it, though each may find it locked at first.

    Raises:
        as `Store.open`.
    """
    for _ in range(OPEN_ATTEMPTS):
        try:
            return Store.open(path)
        except OwnedError:
            time.sleep(random.uniform(*OPEN_WAIT_S))  # noqa: S311 - no secret
            if is_owned(path):
                raise
    return Store.open(path)


def _rename_damaged(path: Path, error: DamagedError) -> None:
    """Rename a damaged journal and its write-ahead log together, so that nobody tries it again."""
    aside = path.with_suffix(DAMAGED_SUFFIX)
    try:
        for part, new in ((path, aside), (log_of(path), log_of(aside))):
            if part.exists():
                part.rename(new)
    except OSError as problem:
        log.error("a journal is damaged (%s), and cannot be renamed: %s", error, problem)
    else:
        log.error("a journal is damaged and was renamed to %s, to be looked at with sqlite3: %s", aside, error)
