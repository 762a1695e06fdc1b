"""The folder of the journals, which the processes of a machine share: whose are the files in it?"""

from __future__ import annotations

import logging
import random
import sqlite3
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from bridge import metrics
from bridge.journal.header import NewerFormatError, check_is_journal, log_of
from bridge.journal.journal_name import DAMAGED_SUFFIX, in_order, journals_in
from bridge.journal.lock import is_ours, lock_holder
from bridge.journal.own_file import ForeignError
from bridge.journal.store import Backlog, DamagedError, OwnedError, Store, UnavailableError
from bridge.journal.taking_turns import turn
from common.logs import Throttle, fields

log = logging.getLogger(__name__)

MAX_TAKEN_OVER = 24
"""So many files of others are open at a time: each takes two descriptors, which connections and Kafka need too."""
COPY_BYTES = 1024 * 1024
OPEN_ATTEMPTS = 5
OPEN_WAIT_S = 0.005, 0.05
REPEAT_AFTER_S = 3600.0
"""A file that cannot be taken over is looked at every minute, and named so rarely."""

_throttle = Throttle(REPEAT_AFTER_S)
_told_foreign: set[str] = set()


class Unowned(NamedTuple):
    """The journals whose owner is gone."""

    takeable: list[Path]
    are_all: bool
    """Whether there are no others: of a newer format, or such as cannot be looked at now."""


def look_through(folder: Path) -> Unowned:
    """The journals in `folder` whose owner is gone, without taking them; those of a newer format are counted.

    Raises:
        OSError: the folder cannot be read.
    """
    found = {path: _look_at(path) for path in journals_in(folder)}
    metrics.JOURNALS_NEWER.set(sum(one is _Seen.NEWER for one in found.values()))
    takeable = [path for path, one in found.items() if one is _Seen.UNOWNED]
    return Unowned(takeable, not any(one in {_Seen.NEWER, _Seen.UNKNOWN} for one in found.values()))


class _Seen(Enum):
    UNOWNED = "its owner is gone"
    NEWER = "its owner is gone, and only a newer version understands it"
    UNKNOWN = "it cannot be looked at now"
    OTHER = "it is left as it is"


def _look_at(path: Path) -> _Seen:
    try:
        if is_ours(path):
            return _Seen.OTHER
        check_is_journal(path)
        return _Seen.OTHER if lock_holder(path) is not None else _Seen.UNOWNED
    except FileNotFoundError:
        return _Seen.OTHER
    except NewerFormatError as error:
        return _Seen.NEWER if _waits_for_newer(path, error) else _Seen.OTHER
    except ForeignError as error:
        _tell_foreign(error)
    except OSError as error:
        _tell_unavailable(path, error)
        return _Seen.UNKNOWN
    return _Seen.OTHER


def take_over(
    folder: Path, paths: Sequence[Path] | None = None, *, room: int = MAX_TAKEN_OVER
) -> list[tuple[Store, list[Backlog]]]:
    """Open the journals that nobody owns, oldest first, among `paths` or all in `folder`.

    Of processes that try at the same moment one takes all. Empty ones are removed, damaged ones renamed, and what is no
    journal, or of a newer format, is left as it is. A process that ended again and again while Kafka was away leaves a
    file each time: beyond `room` files, what the last ones hold is moved into the one before them.

    Raises:
        OSError: the folder cannot be read.
    """
    with turn(folder) as is_ours_now:
        return _take_over(journals_in(folder) if paths is None else list(paths), room) if is_ours_now else []


def _take_over(paths: list[Path], room: int) -> list[tuple[Store, list[Backlog]]]:
    """What was locked for a moment only, by somebody who looks into it, is tried again."""
    taken: list[tuple[Store, list[Backlog]]] = []
    waiting = paths if room > 0 else []
    for _ in range(OPEN_ATTEMPTS):
        locked: list[Path] = []
        for path in waiting:
            try:
                store = _take(path)
            except OwnedError:
                locked.append(path)
                continue
            if store is not None and not _keep(store, taken, room):
                locked.clear()
                break
        if not locked:
            break
        time.sleep(random.uniform(*OPEN_WAIT_S))  # noqa: S311 - no secret
        waiting = [path for path in locked if _look_at(path) is _Seen.UNOWNED]
    if len(taken) == room > 0:  # The last holds more by now, perhaps.
        last, _ = taken.pop()
        taken += [(last, backlogs)] if (backlogs := _backlog(last)) else []
    return sorted(taken, key=lambda item: in_order(item[0].path))


def _keep(store: Store, taken: list[tuple[Store, list[Backlog]]], room: int) -> bool:
    """Add a file to those that were taken over, or what it holds to the last of them. Whether more can be taken."""
    if len(taken) < room:
        if backlogs := _backlog(store):
            taken.append((store, backlogs))
        return True
    return _move_all(store, taken[-1][0])


def _backlog(store: Store) -> list[Backlog]:
    try:
        return store.backlog()
    except sqlite3.Error as error:
        _tell_unavailable(store.path, error)
        store.close()  # Else nobody could try it again: it would seem to be ours.
        return []


def _move_all(source: Store, target: Store) -> bool:
    """Put what a file holds behind what another holds, and remove it. Whether the disk let us."""
    try:
        seq, after = target.last_seq(), 0
        while rows := source.read_all(after, COPY_BYTES):
            after = rows[-1].seq
            target.write((row._replace(seq=seq + number) for number, row in enumerate(rows, start=1)), (), sync=False)
            seq += len(rows)
        target.write((), (), sync=True)
    except (sqlite3.Error, OSError) as error:
        log.error(
            "what the journal %s holds cannot be moved to %s (%s)",
            source.path,
            target.path.name,
            error,
            extra=fields("journal_not_taken_over", journal=source.path.name, reason=str(error)),
        )
        source.close()
        return False
    log.debug("what the journal %s held was moved to %s", source.path.name, target.path.name)
    source.remove()
    return True


def _take(path: Path) -> Store | None:
    """The file, where it is ours now and holds anything.

    Raises:
        OwnedError: another process has it.
    """
    try:
        store = Store.open(path)
        try:
            if store.last_seq():
                return store
        except BaseException:
            store.close()
            raise
        store.remove()
    except FileNotFoundError:
        pass  # Its owner, or another who took it over, has removed it.
    except DamagedError as error:
        _rename_damaged(path, error)
    except NewerFormatError as error:
        _waits_for_newer(path, error)
    except ForeignError as error:
        _tell_foreign(error)
    except (UnavailableError, sqlite3.Error, OSError) as error:
        _tell_unavailable(path, error)
    return None


def _tell_foreign(error: ForeignError) -> None:
    if str(error) not in _told_foreign:
        _told_foreign.add(str(error))
        log.warning(
            "%s; it is left as it is. Move it out of the folder of the journals",
            error,
            extra=fields("journal_foreign", reason=str(error)),
        )


def _waits_for_newer(path: Path, error: NewerFormatError) -> bool:
    """Whether what it holds waits, since nobody here can publish it, which is told. While its owner lives, as in an
    upgrade, nothing waits."""
    try:
        is_owned = lock_holder(path) is not None
    except (OSError, ForeignError):
        is_owned = False
    if not is_owned and _throttle.admits(str(error)):
        log.error(
            "%s; it is left as it is, and what it holds waits", error, extra=fields("journal_newer", journal=path.name)
        )
    return not is_owned


def _tell_unavailable(path: Path, error: Exception) -> None:
    if _throttle.admits(f"{path}: {error}"):
        log.error(
            "the journal %s cannot be taken over now (%s); it is kept and tried again",
            path,
            error,
            extra=fields("journal_not_taken_over", journal=path.name, reason=str(error)),
        )


def _rename_damaged(path: Path, error: DamagedError) -> None:
    """Rename a damaged journal and its write-ahead log together, so that nobody tries it again."""
    aside = path.with_suffix(DAMAGED_SUFFIX)
    try:
        for part, new in ((path, aside), (log_of(path), log_of(aside))):
            if part.exists():
                part.rename(new)
    except OSError as problem:
        log.error(
            "a journal is damaged (%s), and cannot be renamed: %s",
            error,
            problem,
            extra=fields("journal_damaged", journal=path.name, reason=str(error)),
        )
    else:
        log.error(
            "a journal is damaged and was renamed to %s, to be looked at with sqlite3: %s",
            aside,
            error,
            extra=fields("journal_damaged", journal=path.name, reason=str(error)),
        )
