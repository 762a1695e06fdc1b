"""How each fault is made and undone. All of it happens outside the program."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final

from tests.support.broker import Broker
from tests.support.disk import fill
from tests.support.strace import injected
from tests.support.waiting import wait_until
from tests.torture.power import cut
from tests.torture.schedule import Fault, Step
from tests.torture.stage import Stage

SYNC_DELAY_US = 300_000
CHILDREN_END_S = 30.0
STORM, STORM_PAUSE_S = 20, 0.05
RELOAD_S = 20.0

Undo = Callable[[], None]


def begin(stage: Stage, step: Step) -> Undo | None:
    """Make a fault; what undoes it, None where it is over already."""
    return _FAULTS[step.fault](stage, step.pick)


# -- The ingress -------------------------------------------------------------------------------------------------------


def _kill_process(stage: Stage, pick: int) -> None:
    """Its parent starts it again. In a reload it may be one that goes, one that comes, or the check of the settings."""
    processes = stage.ingress.children()
    if not processes:  # Just killed, and not started again yet.
        return
    victim = processes[pick % len(processes)]
    with suppress(ProcessLookupError):
        os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in stage.ingress.children(), timeout=10, what="the end of the process")


def _kill_ingress(stage: Stage, _pick: int) -> None:
    stage.ingress.kill()
    stage.start_ingress()


def _kill_parent(stage: Stage, _pick: int) -> None:
    """Its children are to end by themselves, and to leave the port."""
    stage.ingress.kill_parent(timeout=CHILDREN_END_S)
    stage.start_ingress()


def _power_cut(stage: Stage, pick: int) -> None:
    stage.ingress.kill()
    chance = random.Random(pick)
    stage.cut_bytes += sum(cut(journal, chance) for journal in stage.journals())
    stage.start_ingress()


def _restart_all(stage: Stage, pick: int) -> None:
    """The next phase has one process or two."""
    stage.ingress.terminate(timeout=15)
    stage.worker.terminate(timeout=15)
    stage.start_ingress(workers=1 + pick % 2)
    stage.worker.start()


# -- Its reload --------------------------------------------------------------------------------------------------------


def _reload(stage: Stage, pick: int) -> None:
    stage.set_workers(1 + pick % 3)
    stage.reload()
    if pick & 8:  # Else what is hurt next is hurt in the midst of it.
        stage.wait_reloaded(pick >> 4 & 1, timeout=RELOAD_S)


def _reload_storm(stage: Stage, pick: int) -> None:
    for _ in range(STORM):
        stage.reload()
        time.sleep(STORM_PAUSE_S)
    if pick & 8:
        stage.wait_reloaded(pick >> 4 & 1, timeout=RELOAD_S)


def _reload_wrong(stage: Stage, pick: int) -> Undo:
    """It may be wrong from the check on, or only for the program that comes after that."""
    stage.reload()
    time.sleep(random.Random(pick).random())
    stage.set_workers(1 + pick % 3, further="BRIDGE_GATHER_MS=soon\n")
    stage.reload()

    def undo() -> None:
        stage.set_workers(1 + pick % 3)
        stage.reload()

    return undo


# -- Its disk ----------------------------------------------------------------------------------------------------------


def _fill_disk(stage: Stage, _pick: int) -> Undo:
    return fill(stage.disk).unlink


def _slow_disk(stage: Stage, _pick: int) -> Undo:
    slow = ExitStack()
    slow.enter_context(injected(stage.processes, "fdatasync,fsync", f"delay_exit={SYNC_DELAY_US}"))
    return slow.close


def _remove_journals(stage: Stage, _pick: int) -> None:
    """Not what nobody has open, which would be gone. Until the rest is copied nobody is killed."""
    if not stage.journals_are_owned():
        return
    with suppress(OSError):  # They are made anew meanwhile.
        shutil.rmtree(stage.journal_dir)
    wait_until(lambda: not stage.holds_removed_journals(), timeout=60, what="what was removed to be copied")


# -- The others --------------------------------------------------------------------------------------------------------


def _hurt_broker(hurt: Callable[[Broker], None], heal: Callable[[Broker], object]) -> Callable[[Stage, int], Undo]:
    def make(stage: Stage, pick: int) -> Undo:
        broker = stage.brokers[pick % len(stage.brokers)]
        hurt(broker)

        def undo() -> None:
            heal(broker)

        return undo

    return make


def _kill_worker(stage: Stage, _pick: int) -> None:
    stage.worker.kill()
    stage.worker.start()


def _kill_audit(stage: Stage, _pick: int) -> Undo:
    stage.audit.kill()

    def start() -> None:
        stage.audit.start()

    return start


def _kill_redis(stage: Stage, _pick: int) -> Undo:
    stage.redis.kill()

    def start() -> None:
        stage.redis.start()

    return start


_FAULTS: Final[dict[Fault, Callable[[Stage, int], Undo | None]]] = {
    Fault.KILL_PROCESS: _kill_process,
    Fault.KILL_INGRESS: _kill_ingress,
    Fault.KILL_PARENT: _kill_parent,
    Fault.POWER_CUT: _power_cut,
    Fault.RESTART_ALL: _restart_all,
    Fault.RELOAD: _reload,
    Fault.RELOAD_STORM: _reload_storm,
    Fault.RELOAD_WRONG: _reload_wrong,
    Fault.FILL_DISK: _fill_disk,
    Fault.SLOW_DISK: _slow_disk,
    Fault.REMOVE_JOURNALS: _remove_journals,
    Fault.KILL_BROKER: _hurt_broker(Broker.kill, Broker.start),
    Fault.STOP_BROKER: _hurt_broker(Broker.stop, Broker.start),
    Fault.FREEZE_BROKER: _hurt_broker(Broker.freeze, Broker.thaw),
    Fault.KILL_WORKER: _kill_worker,
    Fault.KILL_REDIS: _kill_redis,
    Fault.KILL_AUDIT: _kill_audit,
}
