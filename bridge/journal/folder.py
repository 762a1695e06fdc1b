"""The folder of the journals, which the processes of a machine share: whose are the files in it?"""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from bridge.journal.header import check_is_journal, log_of
from bridge.journal.journal_name import DAMAGED_SUFFIX, in_order, journals_in
from bridge.journal.lock import is_ours, lock_holder
from bridge.journal.own_file import ForeignError
from bridge.journal.store import Backlog, DamagedError, OwnedError, Store, UnavailableError
from common.logs import Throttle

log = logging.getLogger(__name__)

OPEN_ATTEMPTS = 5
OPEN_WAIT_S = 0.005, 0.05
REPEAT_AFTER_S = 3600.0
"""A file that cannot be taken over is looked at every minute, and named so rarely."""

_throttle = Throttle(REPEAT_AFTER_S)
_told_foreign: set[str] = set()


def find_unowned(folder: Path) -> list[Path]:
    """The journals in `folder` whose owner is gone, without taking them.

    Raises:
        OSError: the folder cannot be read.
    """
    return [path for path in journals_in(folder) if _is_unowned(path)]


def _is_unowned(path: Path) -> bool:
    try:
        if is_ours(path):
            return False
        check_is_journal(path)
        return lock_holder(path) is None
    except FileNotFoundError:
        return False
    except ForeignError as error:
        _tell_foreign(error)
    except OSError as error:
        _tell_unavailable(path, error)
    return False


def take_over(folder: Path, paths: Sequence[Path] | None = None) -> list[tuple[Store, list[Backlog]]]:
    """Open the journals that nobody owns, oldest first, among `paths` or all in `folder`.

    Empty ones are removed, damaged ones renamed, and what is no journal is left as it is. Of processes that try at the
    same moment each may find a file locked by the other, so what was locked for a moment only is tried again.

    Raises:
        OSError: the folder cannot be read.
    """
    taken: list[tuple[Store, list[Backlog]]] = []
    waiting = journals_in(folder) if paths is None else list(paths)
    for _ in range(OPEN_ATTEMPTS):
        locked: list[Path] = []
        for path in waiting:
            try:
                taken += _take(path)
            except OwnedError:
                locked.append(path)
        if not locked:
            break
        time.sleep(random.uniform(*OPEN_WAIT_S))  # noqa: S311 - no secret
        waiting = [path for path in locked if _is_unowned(path)]
    return sorted(taken, key=lambda item: in_order(item[0].path))


def _take(path: Path) -> list[tuple[Store, list[Backlog]]]:
    """The file and what it holds, where it is ours now and holds anything.

    Raises:
        OwnedError: another process has it.
    """
    try:
        store = Store.open(path)
        try:
            backlogs = store.backlog()
        except BaseException:
            store.close()  # Else nobody could try it again: it would seem to be ours.
            raise
        if backlogs:
            return [(store, backlogs)]
        store.remove()
    except FileNotFoundError:
        pass  # Its owner, or another who took it over, has removed it.
    except DamagedError as error:
        _rename_damaged(path, error)
    except ForeignError as error:
        _tell_foreign(error)
    except (UnavailableError, sqlite3.Error, OSError) as error:
        _tell_unavailable(path, error)
    return []


def _tell_foreign(error: ForeignError) -> None:
    if str(error) not in _told_foreign:
        _told_foreign.add(str(error))
        log.warning("%s; it is left as it is. Move it out of the folder of the journals", error)


def _tell_unavailable(path: Path, error: Exception) -> None:
    if _throttle.admits(f"{path}: {error}"):
        log.error("the journal %s cannot be taken over now (%s); it is kept and tried again", path, error)


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
