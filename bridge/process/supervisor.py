"""The parent of the processes of an ingress, however many: it binds the port, and they inherit it.

They are forked from it when all is imported and read, so one that dies is back at once. The first that can answer
begins to listen. The parent keeps the socket open as long as it lives, so connections that reach it while a child dies
wait for the next. Each child has a journal of its own; what a dead one left is taken over. The parent serves the admin
port for all of them.

At a reload (SIGHUP) the parent lets the program as it is installed now check itself. If that would start, the parent
becomes it, in the same process: same process id, same sockets, same children. That program replaces the children one by
one: a new one is forked and, once it accepts, the former drains and ends. Who does not start replaces nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from bridge import metrics
from bridge.normalize.differences import DRIFT_PATH, merged
from bridge.process import forking
from bridge.process.check import ask_to_check
from bridge.process.child_process import ChildProcess
from bridge.process.descriptors import most_connections, raise_limit
from bridge.process.family import Family, make_socket_folder
from bridge.process.forking import Forks
from bridge.process.handover import Handover, become, let_signals_come, take_handover
from bridge.process.ports import Ports, take_ports
from bridge.process.readiness import together
from bridge.process.reloads import Reloads
from bridge.process.slot import Slot
from bridge.process.status import STATUS_PATH
from bridge.process.totals import ProcessPage, Roll, Totals
from bridge.process.warm_up import warm_up
from bridge.settings import BridgeSettings
from common.admin import AdminServer, Readiness
from common.asyncio_tools import on_stop_signal
from common.logs import fields
from common.retry import Backoff
from common.text import plural
from common.tracing.start import import_early

log = logging.getLogger(__name__)

RETRY_FIRST_S, RETRY_MAX_S = 1.0, 30.0
"""Between two attempts to start a successor."""
PARENT = "parent"
"""Our own name in metrics, as that of a child is its number."""


def supervise(settings: BridgeSettings) -> int:
    """Run an ingress until SIGTERM or SIGINT.

    Returns:
        its exit status.

    Raises:
        OSError: it cannot begin; the message says why.
    """
    raise_limit()
    handover = take_handover()
    most_connections(settings)
    ports = take_ports(settings, handover)
    asyncio.run(_warm(settings))
    folder = Path(handover.folder) if handover else make_socket_folder()

    async def run(forks: Forks) -> int:
        supervisor = Supervisor(settings, forks, ports, folder, handover)
        try:
            return await supervisor.run()
        finally:
            shutil.rmtree(supervisor.folder, ignore_errors=True)

    return forking.run(run)


async def _warm(settings: BridgeSettings) -> None:
    """Do once what whoever is forked from here has done then, too."""
    warm_up(settings)
    import_early()


class Supervisor:
    """Keeps `settings.workers` processes running until SIGTERM or SIGINT. Made on the event loop.

    The fields are many because all that a parent holds is handed over together, and asked about on one page.

    Args:
        forks: where children come from.
        ports: bound.
        folder: for the sockets on which the children are asked about themselves.
        handover: what this process had before, as the program that it was.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        forks: Forks,
        ports: Ports,
        folder: Path,
        handover: Handover | None = None,
    ) -> None:
        self._settings = settings
        self._ports = ports
        self._stopping = asyncio.Event()
        self._reload = asyncio.Event()
        self._asked = asyncio.Event()
        """To stop, or to reload."""
        self._had_terminal = _has_terminal()
        self._reloads = Reloads(handover.reloads if handover else None)
        self._former_restarts = handover.restarts if handover else 0
        self._totals = Totals(self._pages, self._roll, handover.counts if handover else ())
        self._family = Family(
            settings, forks, ports.callbacks.socket, folder, on_end=lambda child: self._totals.retire(child.page())
        )
        handed = handover.children if handover else []
        adopted = [self._family.adopt(child, settings.start_timeout_s) for child in handed]
        self._former = {child for child in adopted if not child.is_leaving}
        """Children of the program that this process was, which are to be replaced."""
        serving = {child.number: child for child in self._former}
        self._slots = [
            Slot(number, settings, self._start, self._stopping, serving.pop(number, None))
            for number in range(settings.workers)
        ]
        self._surplus = list(serving.values())
        """Of the former, those that there are no places for any more."""
        self._replacing: asyncio.Task[None] | None = None
        self._saying: set[asyncio.Future[None]] = set()
        self._has_accepted = handover is not None
        if handover and handover.is_asked_again:
            self._ask_to_reload()
        self._exit_status = 0
        self._admin = self._admin_server()

    def _admin_server(self) -> AdminServer:
        return AdminServer(
            self._settings.admin_host,
            0,
            readiness=self.readiness,
            registry=self._totals,
            # A copy, since the server closes what it has, also when a successor is to have the port.
            listener=self._ports.admin.socket.dup() if self._ports.admin else None,
            refresh=self._family.refresh,
            pages={DRIFT_PATH: self._drift_page, STATUS_PATH: self._status_page},
        )

    @property
    def folder(self) -> Path:
        """Of the children's sockets."""
        return self._family.folder

    @property
    def _serving(self) -> list[ChildProcess]:
        """Those in their places, which may not accept yet."""
        return [slot.child for slot in self._slots if slot.child is not None and slot.child.is_alive]

    @property
    def _restarts(self) -> int:
        return self._former_restarts + sum(slot.restarts for slot in self._slots)

    def readiness(self) -> Readiness:
        """Ready while a process is, and none is unready that could be handed a callback."""
        accepting = [child for child in self._serving if child.accepting.is_set()]
        states = {str(child.number): child.readiness for child in self._serving}
        detail: dict[str, object] = {}
        if len(self._slots) > 1:
            detail |= together([state.detail for state in states.values()])
            detail["processes"] = {number: {"ready": state.ready, **state.detail} for number, state in states.items()}
        else:
            detail |= next((dict(state.detail) for state in states.values()), {})
        return Readiness(
            ready=not self._stopping.is_set() and bool(accepting) and all(child.readiness.ready for child in accepting),
            detail={
                **detail,
                "state": "stopping" if self._stopping.is_set() else "serving" if accepting else "starting",
                "pid": os.getpid(),
                "reload": self._reloads.detail,
            },
        )

    async def run(self) -> int:
        """Run until told to stop; the exit status."""
        loop = asyncio.get_running_loop()
        with on_stop_signal(self._stop):
            loop.add_signal_handler(signal.SIGHUP, self._hang_up)
            loop.add_signal_handler(signal.SIGCHLD, self._family.look)
            let_signals_come()
            await self._admin.start()
            processes = plural(len(self._slots), "process", "processes")
            log.info(
                "starting %s for callbacks on %s",
                processes,
                self._ports.callbacks.address,
                extra=fields("starting", address=self._ports.callbacks.address),
            )
            keepers = [asyncio.create_task(slot.keep_running()) for slot in self._slots]
            self._go_on_replacing()
            while not self._stopping.is_set():
                await self._asked.wait()
                self._asked.clear()
                await self._reload_unless_wrong()
            log.info("stopping %s", processes, extra=fields("stopping"))
            self._ports.callbacks.socket.close()
            await self._family.end()
            await asyncio.gather(*keepers, *filter(None, [self._replacing]))
            await self._family.end()  # One that was just begun.
            await self._admin.stop()
        return self._exit_status

    # -- What it is told -----------------------------------------------------------------------------------------------

    def _stop(self) -> None:
        self._stopping.set()
        self._asked.set()

    def _hang_up(self) -> None:
        if self._had_terminal and not _has_terminal():
            self._stop()  # Nobody asks for anything: the terminal in which this was started is gone.
            return
        self._ask_to_reload()

    def _ask_to_reload(self) -> None:
        self._reload.set()
        self._asked.set()

    # -- Children ------------------------------------------------------------------------------------------------------

    async def _start(self, number: int, timeout_s: float) -> ChildProcess:
        child = await self._family.start(number, timeout_s)
        child.ended.add_done_callback(lambda _: self._note_end(child))
        saying = asyncio.ensure_future(self._say_accepting(child))
        self._saying.add(saying)
        saying.add_done_callback(self._saying.discard)
        return child

    async def _say_accepting(self, child: ChildProcess) -> None:
        if await child.begins():
            self._has_accepted = True
            log.info(
                "process %d is accepting callbacks on %s",
                child.number,
                self._ports.callbacks.address,
                extra=fields("accepting", process=str(child.number), address=self._ports.callbacks.address),
            )

    def _note_end(self, child: ChildProcess) -> None:
        if child.cannot_serve and not self._has_accepted:
            self._exit_status = 1  # It has said why. What never began is not tried for ever.
            self._stop()

    # -- Reload --------------------------------------------------------------------------------------------------------

    @property
    def _is_asked(self) -> bool:
        return self._stopping.is_set() or self._reload.is_set()

    async def _reload_unless_wrong(self) -> None:
        """Become the program as it is installed now, unless that would not start. Does not return if it does."""
        if self._replacing is not None and not await self._unless_stopping(self._replacing):
            return  # Else a step of it that is under way is brought to its end.
        if self._stopping.is_set():
            return
        self._reload.clear()
        self._reloads.begin()
        log.info("reload: the program and the settings are checked", extra=fields("reload_checking"))
        command = [sys.executable, *sys.orig_argv[1:]]
        problem = await self._checked(command)
        if self._stopping.is_set():
            return
        if not problem:
            problem = await self._become(command)
        self._reloads.end("refused", problem)
        log.error(
            "reload: nothing is replaced, and all goes on as before, since it would not start: %s",
            problem,
            extra=fields("reload_refused", reason=problem),
        )
        self._go_on_replacing()

    async def _checked(self, command: list[str]) -> str:
        within_s, is_given = self._settings.start_timeout_s, self._ports.is_given
        check = asyncio.ensure_future(ask_to_check(command, within_s=within_s, is_given_ports=is_given))
        if not await self._unless_stopping(check):
            check.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await check
            return "it is stopping"
        return check.result()

    async def _unless_stopping(self, work: asyncio.Future[Any]) -> bool:
        """Wait for it, and no longer than until all is to end; whether it is done."""
        stop = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        return work.done()

    async def _become(self, command: list[str]) -> str:
        """Why it could not; else it does not return."""
        async with contextlib.AsyncExitStack() as stack:
            for slot in self._slots:  # Nobody is forked meanwhile whom the successor would not know.
                await stack.enter_async_context(slot.changing)
            await self._admin.stop()
            handover = Handover(
                listener=self._ports.callbacks.hand_over(),
                admin=self._ports.admin.hand_over() if self._ports.admin else None,
                folder=str(self.folder),
                children=self._family.hand_over(),
                reloads=self._reloads.counts,
                counts=self._totals.hand_over(),
                restarts=self._restarts,
                is_asked_again=self._reload.is_set(),
            )
            log.info("reload: the new program takes over in this process", extra=fields("reload_taking_over"))
            try:
                become(command, handover)
            except OSError as error:
                self._admin = self._admin_server()
                await self._admin.start()
                return f"{command[0]} cannot be executed: {error.strerror}"

    def _go_on_replacing(self) -> None:
        if self._former:
            self._replacing = asyncio.create_task(self._replace_former())
        elif self._reloads.state == "replacing":
            self._reloads.end("done")

    async def _replace_former(self) -> None:
        """Put a process of this program in the place of each that is left of the former, one at a time."""
        for slot in self._slots:
            while slot.child in self._former and not self._is_asked:
                await self._replace(slot)
        if self._is_asked:
            return
        for child in self._surplus:
            child.replace()
        await asyncio.gather(*(child.ended for child in self._former))
        self._former.clear()
        self._reloads.end("done")
        log.info(
            "reload: done, %s new", plural(len(self._slots), "process is", "processes are"), extra=fields("reload_done")
        )

    async def _replace(self, slot: Slot) -> None:
        """Replace the process of a slot; until that works, try again."""
        waits = Backoff(first_s=RETRY_FIRST_S, max_s=RETRY_MAX_S)
        while (problem := await slot.replace()) and not self._is_asked:
            self._reloads.end("failed", f"process {slot.number} {problem}")
            log.error(
                "reload: the new process %d %s; the former goes on, and it is tried again. Put it right and reload"
                " again",
                slot.number,
                problem,
                extra=fields("reload_failed", process=str(slot.number), reason=problem),
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), next(waits))

    # -- The admin port ------------------------------------------------------------------------------------------------

    def _pages(self) -> list[ProcessPage]:
        """What each child told last, and what there is of us."""
        own = ProcessPage(PARENT, os.getpid(), metrics.PARENT_REGISTRY.collect())
        return [own, *self._family.pages()]

    def _roll(self) -> Roll:
        accepting = [child for child in self._serving if child.accepting.is_set()]
        ready = {child.number for child in accepting if child.readiness.ready}
        return Roll(
            ready=self.readiness().ready,
            ready_by_process={str(slot.number): slot.number in ready for slot in self._slots},
            wanted=len(self._slots),
            accepting=len(accepting),
            restarts=self._restarts,
        )

    async def _drift_page(self) -> bytes:
        """What differed in the callbacks of all children that serve; what those before them had is gone with them."""
        serving = [child for child in self._serving if child.accepting.is_set()]
        reports = await asyncio.gather(*(child.drift() for child in serving))
        return msgspec.json.encode(merged(filter(None, reports), silent=reports.count(None)))

    async def _status_page(self) -> bytes:
        return msgspec.json.encode(await self._family.status())


def _has_terminal() -> bool:
    """Whether this process is controlled from a terminal that is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
