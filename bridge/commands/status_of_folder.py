"""Asks the processes of a folder how they are, and looks at the journals there that nobody answers for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import msgspec

from bridge.commands.ingress_status import IngressStatus, SilentProcess, UnansweredJournal, status_now
from bridge.journal.header import log_of
from bridge.journal.inspection import told_of
from bridge.journal.journal_name import JournalName, damaged_in, journals_in
from bridge.journal.lock import lock_holder
from bridge.journal.own_file import ForeignError
from bridge.process.status import STATUS_PATH, ProcessStatus, StatusReport
from bridge.process.status_socket import owner_of, short_path, status_sockets_in
from common.timestamps import rfc3339

ANSWER_TIMEOUT_S = 3.0


async def status_of(folder: Path) -> IngressStatus:
    """Ask all processes whose sockets are in a folder.

    Raises:
        OSError: the folder cannot be read, or nobody answers and we may not know whose the journals are.
    """
    journals = journals_in(folder)  # Before it is asked: what is made later is nobody's concern.
    asked = await asyncio.gather(*(_ask(path) for path in status_sockets_in(folder)))
    processes = sorted(
        (one for one in asked if isinstance(one, ProcessStatus)), key=lambda one: (one.host, one.process, one.pid)
    )
    silent = [one for one in asked if isinstance(one, SilentProcess)]
    left = _unanswered(journals, processes)
    left += [_file(path, None, "it is damaged: look at it with sqlite3") for path in damaged_in(folder)]
    return status_now([processes], folder=str(folder), silent=silent, left_behind=left)


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
            found.append(_file(path, lock_holder(path), ""))
        except FileNotFoundError:
            continue
        except (ForeignError, OSError) as error:
            if isinstance(error, PermissionError) and not processes:
                raise  # Those of another user: whoever makes them out to be left behind may do harm.
            found.append(_file(path, None, told_of(error), is_owner_known=False))
    return found


def _file(path: Path, holder: int | None, problem: str, *, is_owner_known: bool = True) -> UnansweredJournal:
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
        is_owner_known=is_owner_known,
    )
