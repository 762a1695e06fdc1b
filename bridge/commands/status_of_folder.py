"""Asks the processes of a folder how they are, and looks at the journals there that nobody answers for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import msgspec

from bridge.journal.header import log_of
from bridge.journal.journal_name import JournalName, damaged_in, journals_in
from bridge.journal.lock import lock_holder
from bridge.journal.own_file import ForeignError
from bridge.process.status import STATUS_PATH, ProcessStatus, StatusReport
from bridge.process.status_socket import owner_of, short_path, status_sockets_in
from common.timestamps import rfc3339

ANSWER_TIMEOUT_S = 3.0


class SilentProcess(msgspec.Struct):
    """A process that has its socket in the folder and does not tell how it is."""

    host: str
    pid: int
    problem: str
    """What is known, for people."""


class UnansweredJournal(msgspec.Struct):
    """A journal for which no process answers, as the file system knows it."""

    name: str
    maker: str
    """Host and process id of who made it; empty where its name is not of our form."""
    owner_pid: int | None
    """Of the living process that has it open, 0 if it is in another container; None: nobody has, its owner is gone."""
    bytes: int
    written: str
    """When it was written last, RFC 3339."""
    written_s: float
    """How long ago."""
    problem: str = ""
    """Why it is no journal that can be published, for people."""


class Total(msgspec.Struct):
    """All processes together."""

    events: int = 0
    bytes: int = 0
    oldest: str | None = None
    oldest_s: float = 0.0
    events_per_s: float | None = None
    bytes_per_s: float | None = None
    full_at: str | None = None
    """When the first of them, or the disk, has no room any more, if it goes on like this."""
    full_in_s: float | None = None
    drained_at: str | None = None
    """When the last of them is drained, if it goes on like this."""
    drained_in_s: float | None = None


class FolderStatus(msgspec.Struct):
    """How the ingress on a folder is."""

    folder: str
    time: str
    well: bool
    """Whether all answer, Kafka confirms, the disk takes callbacks, and no journal is without a process."""
    total: Total
    processes: list[ProcessStatus]
    silent: list[SilentProcess]
    left_behind: list[UnansweredJournal]


async def status_of(folder: Path) -> FolderStatus:
    """Ask all processes whose sockets are in a folder.

    Raises:
        OSError: the folder cannot be read.
    """
    journals = journals_in(folder)  # Before it is asked: what is made later is nobody's concern.
    asked = await asyncio.gather(*(_ask(path) for path in status_sockets_in(folder)))
    processes = sorted(
        (one for one in asked if isinstance(one, ProcessStatus)), key=lambda one: (one.host, one.process, one.pid)
    )
    silent = [one for one in asked if isinstance(one, SilentProcess)]
    left = _unanswered(journals, processes)
    left += [_file(path, None, "it is damaged: look at it with sqlite3") for path in damaged_in(folder)]
    return FolderStatus(
        folder=str(folder),
        time=rfc3339(int(time.time() * 1000)),
        well=bool(processes) and not (silent or left) and all(map(_is_well, processes)),
        total=_total(processes),
        processes=processes,
        silent=silent,
        left_behind=left,
    )


def _is_well(process: ProcessStatus) -> bool:
    return process.kafka.state == "confirming" and process.disk.ok and process.state != "starting"


async def _ask(path: Path) -> ProcessStatus | SilentProcess | None:
    """What the process at a socket says; None where it is gone."""
    host, pid = owner_of(path)
    try:
        with short_path(path) as short:
            timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(short), timeout=timeout) as session,
                session.get(f"http://ingress{STATUS_PATH}") as reply,
            ):
                report = msgspec.json.decode(await reply.read(), type=StatusReport)
        return report.processes[0]
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, ConnectionRefusedError | FileNotFoundError):
            return None
        return SilentProcess(host, pid, f"cannot be asked: {error.os_error.strerror}")
    except TimeoutError:
        problem = f"lives and has not answered for {ANSWER_TIMEOUT_S:.0f} s: it is stopped, or hangs"
        return SilentProcess(host, pid, problem)
    except (aiohttp.ClientError, OSError, msgspec.DecodeError, IndexError) as error:
        return SilentProcess(host, pid, f"does not answer as an ingress of this version does ({type(error).__name__})")


def _unanswered(journals: Sequence[Path], processes: Sequence[ProcessStatus]) -> list[UnansweredJournal]:
    """The journals that no process has which has answered, by their entries in the folder alone."""
    answered = {name for one in processes for name in one.disk.journals}
    found = []
    for path in journals:
        if path.name in answered:
            continue
        try:
            holder, problem = lock_holder(path), ""
        except FileNotFoundError:
            continue
        except (ForeignError, OSError) as error:
            holder, problem = None, str(error)
        found.append(_file(path, holder, problem))
    return found


def _file(path: Path, holder: int | None, problem: str) -> UnansweredJournal:
    name = JournalName.of(path)
    size, written = 0, 0.0
    for part in (path, log_of(path)):
        try:
            status = part.lstat()
        except OSError:
            continue
        size, written = size + status.st_size, max(written, status.st_mtime)
    return UnansweredJournal(
        name=path.name,
        maker=f"{name.host}:{name.process}" if name.is_of_our_form else "",
        owner_pid=holder,
        bytes=size,
        written=rfc3339(int(written * 1000)),
        written_s=max(0.0, time.time() - written),
        problem=problem,
    )


def _total(processes: Sequence[ProcessStatus]) -> Total:
    waiting = [one.waiting for one in processes]
    events_per_s = [one.events_per_s for one in waiting if one.events_per_s is not None]
    bytes_per_s = [one.bytes_per_s for one in waiting if one.bytes_per_s is not None]
    full = [one.full_in_s for one in waiting if one.full_in_s is not None]
    growth = sum(rate for rate in bytes_per_s if rate > 0)
    free = [one.disk.free_bytes for one in processes if one.disk.free_bytes is not None]
    if full and free and growth:
        full.append(min(free) / growth)  # They fill one disk together.
    undrained = [one for one in waiting if one.events]
    drained = [one.drained_in_s for one in undrained]
    drained_in_s = None if None in drained else max((one for one in drained if one is not None), default=None)
    oldest = min((one.oldest for one in waiting if one.oldest), default=None)
    full_in_s = min(full, default=None)
    return Total(
        events=sum(one.events for one in waiting),
        bytes=sum(one.bytes for one in waiting),
        oldest=oldest,
        oldest_s=max((one.oldest_s for one in waiting), default=0.0),
        events_per_s=sum(events_per_s) if events_per_s else None,
        bytes_per_s=sum(bytes_per_s) if bytes_per_s else None,
        full_at=_in(full_in_s),
        full_in_s=full_in_s,
        drained_at=_in(drained_in_s),
        drained_in_s=drained_in_s,
    )


def _in(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(int((time.time() + seconds) * 1000))
