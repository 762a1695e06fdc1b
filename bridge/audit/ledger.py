"""The ledgers of the processes of a folder: who lived there, until when, and with which numbers.

`audit/` in the folder of the journals has a file `<process>.ledger` for each that was ever alive at the same time as
others. It is locked while its process lives, and holds what that would state of itself, a moment old. Whoever begins a
life takes one that is free, and with it the name of its process; so there are no more of them than processes were alive
at once. Beside one, `<process>.ends` has the ends of lives that Kafka does not know of yet.

All functions here touch the disk.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from bridge.audit.ends import ENDS, Ends, end_of_killed, ends_without_ledger, orphans, read_ends
from bridge.audit.folder import FOLDER, LEDGER, find_folder_id, locked_folder, place_of
from bridge.audit.marks import NAME, SHARED_MEMORY, LifeMarks
from bridge.journal.numbering import SetAsideNumbers
from bridge.journal.own_file import ForeignError, own_status
from bridge.journal.record import Record
from bridge.journal.store import sync_folder
from common.audit.header import MAX_EPOCH, Life
from common.audit.statement import Previous, SetAside, Statement, TopicStatement
from common.logs import fields

log = logging.getLogger(__name__)

ID_BYTES = 4
MAX_LEDGER_BYTES = 1 << 20

Refused = Callable[[], Iterable[Record]]
"""Gives the records of the folder that Kafka refuses for good."""


class Entry(msgspec.Struct, frozen=True):
    """What a ledger holds."""

    inode: int
    """Of its file: another one has a copy, whose process may be alive elsewhere."""
    has_ended: bool
    """Whether the end of the life is known to whoever has to state it."""
    statement: Statement
    """What its process would have stated when this was written."""
    place: str = ""
    """Where its file was: see `place_of`. In another place it may be one of several, as of an image that many machines
    begin with, though its inode is the same. Empty: of an older version."""


_decoder = msgspec.json.Decoder(Entry)


class LifeLedger:
    """A ledger whose lock is held.

    Args:
        path: the file.
        descriptor: of the file, open and locked.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.process = path.stem
        self._descriptor = descriptor
        self._inode, self._place = os.fstat(descriptor).st_ino, place_of(descriptor)
        entry = self.read()
        self.is_copy = entry is not None and (
            entry.inode != self._inode or entry.place not in {"", self._place} or entry.statement.epoch >= MAX_EPOCH
        )
        """Whether nobody may go on under its name: it is a copy of one that is elsewhere, and perhaps in use there, or
        a clock that was wrong has used up its epochs."""

    @classmethod
    def create(cls, folder: Path, process: str = "") -> LifeLedger:
        """A new one, under a name that no other process has; or for a process that has a name, and no ledger yet.

        Raises:
            OSError: the disk does not take it.
        """
        path = folder / f"{process or secrets.token_hex(ID_BYTES)}{LEDGER}"
        return cls(path, _new_file(path))

    @classmethod
    def take(cls, path: Path) -> LifeLedger | None:
        """The one in a file; None where a living process has it, or it is none of ours."""
        try:
            own_status(path)
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ForeignError):
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return cls(path, descriptor)

    def close(self) -> None:
        """Give it back."""
        os.close(self._descriptor)

    @property
    def is_in_place(self) -> bool:
        """Whether others find it under its path."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def put_back(self) -> None:
        """Go on in a new, empty file, where the one that we have open was removed.

        Raises:
            FileExistsError: somebody has put another one there.
            OSError: the disk does not take it.
        """
        descriptor = _new_file(self.path)
        os.dup2(descriptor, self._descriptor, inheritable=False)
        os.close(descriptor)
        self._inode, self._place = os.fstat(self._descriptor).st_ino, place_of(self._descriptor)

    def read(self) -> Entry | None:
        """What it holds; None where it is empty or damaged."""
        line, _, _ = os.pread(self._descriptor, MAX_LEDGER_BYTES, 0).partition(b"\n")
        checksum, _, encoded = line.partition(b" ")
        if checksum != _checksum(encoded):
            return None
        try:
            return _decoder.decode(encoded)
        except msgspec.DecodeError:
            return None

    def write(self, statement: Statement, *, has_ended: bool = False, sync: bool = False) -> None:
        """Replace what it holds. With `sync` that survives the end of the machine.

        Raises:
            OSError: the disk does not take it.
        """
        encoded = msgspec.json.encode(Entry(self._inode, has_ended, statement, self._place))
        os.pwrite(self._descriptor, b"%b %b\n" % (_checksum(encoded), encoded), 0)
        if sync:
            os.fsync(self._descriptor)

    def write_end(self, end: Statement) -> None:
        """The life is over, and whoever has to state that knows it.

        Raises:
            OSError: the disk does not take it.
        """
        topics = {topic: TopicStatement(given=one.given, is_exact=one.is_exact) for topic, one in end.topics.items()}
        self.write(msgspec.structs.replace(end, topics=topics, set_aside={}), has_ended=True, sync=True)

    @property
    def ends_path(self) -> Path:
        """Where the ends are that are still to be stated."""
        return self.path.with_suffix(ENDS)

    def read_ends(self) -> Ends:
        """The ends that are still to be stated. Of a file that cannot be read, none."""
        return read_ends(self.ends_path)

    def write_ends(self, ends: Ends) -> None:
        """Replace them.

        Raises:
            OSError: the disk does not take it.
        """
        path = self.ends_path
        if not ends:
            path.unlink(missing_ok=True)
            return
        new = path.with_suffix(".part")
        with os.fdopen(os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
            file.write(msgspec.json.encode(list(ends.values())))
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
        sync_folder(path.parent)

    def marks_path(self, folder: str) -> Path:
        """Where the marks of its lives are. That a copy of a ledger has others, its inode sees to."""
        return SHARED_MEMORY / f"{NAME}-{folder}-{self.process}-{self._inode}"


class Claim(NamedTuple):
    """The ledger of a life that begins."""

    ledger: LifeLedger
    folder: str
    """Id of the folder."""
    life: Life
    previous: Previous | None
    marks: LifeMarks
    ends: Ends
    """Those that are to be stated."""


def claim(journal_dir: Path, template: Statement, ring_size: int, refused: Refused) -> Claim:
    """Begin a life under the name of a process that has ended, or a new one; see that all ends before will be stated.

    Args:
        journal_dir: the folder of the journals.
        template: what is known of this life before it has a name; its topics.
        ring_size: how many numbers its marks span.
        refused: see `Refused`.

    Raises:
        OSError: the disk does not take it.
    """
    folder = _made(journal_dir)
    with locked_folder(folder):
        folder_id = find_folder_id(folder, secrets.token_hex(2 * ID_BYTES))
        free = _free(folder)
        own = next((one for one in free if not one.is_copy), None)
        others = [one for one in free if one is not own]
        try:
            own = own or LifeLedger.create(folder)
        except BaseException:
            for ledger in others:
                ledger.close()
            raise
        try:
            ends = _take_ends(folder_id, own, [own, *others], refused, template)
            before = own.read()
            life = Life(own.process, _next_epoch(before))
            marks = _marks(own, folder_id, life, list(template.topics), ring_size)
            previous = _previous(before)
            begun = msgspec.structs.replace(
                template, process=life.process, epoch=life.epoch, folder=folder_id, previous=previous
            )
            own.write(begun, sync=True)
            sync_folder(folder)
        except BaseException:
            own.close()
            raise
    return Claim(own, folder_id, life, previous, marks, ends)


def claim_late(journal_dir: Path, statement: Statement, marks: LifeMarks) -> Claim:
    """Begin to keep a ledger of a life that began without, for the disk did not take one.

    The ends of other lives are left where they are: whoever looks for them next finds them.

    Args:
        journal_dir: the folder of the journals.
        statement: what is true of the life now.
        marks: of it.

    Raises:
        OSError: the disk still does not take it.
    """
    folder = _made(journal_dir)
    with locked_folder(folder):
        folder_id = find_folder_id(folder, secrets.token_hex(2 * ID_BYTES))
        own = LifeLedger.create(folder, statement.process)
        try:
            own.write(msgspec.structs.replace(statement, folder=folder_id), sync=True)
            sync_folder(folder)
        except BaseException:
            own.path.unlink(missing_ok=True)
            own.close()
            raise
        marks.move(own.marks_path(folder_id))
    return Claim(own, folder_id, statement.life, None, marks, {})


def take_ends(own: LifeLedger, folder_id: str, refused: Refused, template: Statement) -> Ends:
    """The ends that are to be stated by now, also of lives that have ended since, without a successor.

    Raises:
        OSError: the disk does not take it.
    """
    folder = own.path.parent
    with locked_folder(folder):
        return _take_ends(folder_id, own, _free(folder), refused, template)


def random_life() -> Life:
    """One without a ledger, whose name nobody will have again."""
    return Life(secrets.token_hex(ID_BYTES), min(int(time.time()), MAX_EPOCH))


class _Killed(NamedTuple):
    """A life that nobody has stated the end of."""

    end: Statement
    ledger: LifeLedger | None
    marks: LifeMarks | None
    """Closed: to be removed when the end is kept."""


def _take_ends(
    folder_id: str, own: LifeLedger, free: Sequence[LifeLedger], refused: Refused, template: Statement
) -> Ends:
    """Move the ends of lives that nobody goes on with to a ledger of ours. All but that are given back."""
    others = [ledger for ledger in free if ledger is not own]
    files = [*(ledger.ends_path for ledger in others), *ends_without_ledger(own.path.parent)]
    ends = own.read_ends()
    for path in files:
        ends |= read_ends(path)
    try:
        killed = _killed(own.path.parent, folder_id, free, refused, template)
        ends |= {one.end.life.name: one.end for one in killed}
        if ends:
            own.write_ends(ends)
        for one in killed:
            if one.ledger is not None:
                one.ledger.write_end(one.end)
        for one in killed:  # Not before: whoever comes when the disk is not full any more needs them.
            if one.marks is not None:
                one.marks.remove()
        for path in [*files, *(ledger.path for ledger in others if ledger.is_copy)]:
            path.unlink(missing_ok=True)
    finally:
        for ledger in others:
            ledger.close()
    return ends


def _killed(
    folder: Path, folder_id: str, free: Sequence[LifeLedger], refused: Refused, template: Statement
) -> list[_Killed]:
    found: list[tuple[Statement, LifeLedger | None, LifeMarks | None]] = []
    try:
        for ledger in free:
            entry = ledger.read()
            if entry is not None and not entry.has_ended:
                last = entry.statement
                found.append((last, ledger, LifeMarks.open_left(ledger.marks_path(folder_id), last.life)))
        found.extend((last, None, left) for last, left in orphans(folder, folder_id, template, SHARED_MEMORY))
        set_aside = _set_aside(refused) if found else {}
        return [_Killed(end_of_killed(last, marks, set_aside), ledger, marks) for last, ledger, marks in found]
    finally:  # Where the disk does not take the ends, we look again, and must not find that somebody has them.
        for _, _, marks in found:
            if marks is not None:
                marks.close()


def _marks(ledger: LifeLedger, folder_id: str, life: Life, topics: Sequence[str], ring_size: int) -> LifeMarks:
    try:
        return LifeMarks.create(ledger.marks_path(folder_id), life, topics, ring_size, ledger.path.absolute())
    except OSError as error:
        log.warning(
            "there is no room for marks in shared memory (%s): should this process be killed, it cannot be said exactly"
            " what it acknowledged last",
            error,
            extra=fields("audit_inexact", reason=str(error)),
        )
        return LifeMarks.in_memory(life, topics, ring_size)


def _set_aside(refused: Refused) -> SetAside:
    numbers = SetAsideNumbers()
    for record in refused():
        numbers.add(record)
    return numbers.by_life


def _previous(entry: Entry | None) -> Previous | None:
    if entry is None:
        return None
    last = entry.statement
    return Previous(epoch=last.epoch, given={topic: one.given for topic, one in last.topics.items()})


def _next_epoch(entry: Entry | None) -> int:
    """By the clock, so that a ledger that was set back, as with its whole machine, begins no life a second time."""
    return max(min(int(time.time()), MAX_EPOCH), entry.statement.epoch + 1 if entry else 1)


def _made(journal_dir: Path) -> Path:
    folder = journal_dir / FOLDER
    journal_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _free(folder: Path) -> list[LifeLedger]:
    """Those whose process is gone, locked."""
    found = (LifeLedger.take(path) for path in sorted(folder.glob(f"*{LEDGER}")))
    return [ledger for ledger in found if ledger is not None]


def _new_file(path: Path) -> int:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _checksum(encoded: bytes) -> bytes:
    return b"%08x" % zlib.crc32(encoded)
