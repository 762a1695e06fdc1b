"""What is hurt, when and for how long: a pure function of the seed, so that a seed that failed can be run again."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

FREE_AT_THE_END_S = 2.0
"""At the end of a run, time in which no fault begins."""


class Fault(StrEnum):
    """Everything that can be done to the system from outside."""

    KILL_PROCESS = "kill -9 of one ingress process"
    KILL_INGRESS = "kill -9 of the whole ingress"
    KILL_PARENT = "kill -9 of the parent alone"
    POWER_CUT = "kill -9 of the whole ingress, unsynced end of its journals cut off"
    RESTART_ALL = "SIGTERM to ingress and worker, then start"
    RELOAD = "SIGHUP with another number of processes in the settings"
    RELOAD_STORM = "SIGHUP, twenty in a second"
    RELOAD_WRONG = "SIGHUP with settings that are wrong, then right"
    KILL_BROKER = "kill -9 of a broker"
    STOP_BROKER = "SIGTERM to a broker"
    FREEZE_BROKER = "SIGSTOP to a broker"
    FILL_DISK = "the journal's disk is full"
    SLOW_DISK = "each sync of the journal takes 300 ms longer"
    REMOVE_JOURNALS = "the folder of the journals is removed"
    KILL_WORKER = "kill -9 of the worker"
    KILL_REDIS = "kill -9 of Redis"
    KILL_AUDIT = "kill -9 of the audit"


class Step(NamedTuple):
    """One fault."""

    at: float
    """Seconds since the load began."""
    fault: Fault
    hold: float
    """Seconds until it is undone; 0 where there is nothing to undo."""
    pick: int
    """32 random bits, for what the fault has to choose."""


@dataclass(frozen=True)
class Track:
    """Faults of one part of the system, of which one at a time is in force. Those of other tracks fall together."""

    faults: tuple[Fault, ...]
    pause: tuple[float, float]
    hold: tuple[float, float]


TRACKS: Final = (
    Track(
        (Fault.KILL_PROCESS, Fault.KILL_INGRESS, Fault.KILL_PARENT, Fault.POWER_CUT, Fault.RESTART_ALL),
        (2.0, 5.0),
        (0.0, 0.0),
    ),
    Track((Fault.RELOAD, Fault.RELOAD_STORM, Fault.RELOAD_WRONG), (2.0, 6.0), (0.0, 3.0)),
    Track((Fault.KILL_BROKER, Fault.STOP_BROKER, Fault.FREEZE_BROKER), (2.0, 7.0), (1.0, 6.0)),
    Track((Fault.FILL_DISK, Fault.SLOW_DISK, Fault.REMOVE_JOURNALS), (3.0, 8.0), (1.0, 4.0)),
    Track((Fault.KILL_WORKER, Fault.KILL_REDIS, Fault.KILL_AUDIT), (3.0, 9.0), (0.2, 2.0)),
)


def schedule(seed: int, seconds: float, possible: Set[Fault] = frozenset(Fault)) -> list[Step]:
    """The faults of a run, by time. A fault that is not possible here is left out and changes no other."""
    steps = [step for track in TRACKS for step in _steps(track, random.Random(f"{seed}/{track.faults[0]}"), seconds)]
    return sorted(step for step in steps if step.fault in possible)


def _steps(track: Track, chance: random.Random, seconds: float) -> Iterator[Step]:
    at = 0.0
    for fault in _shuffled(track.faults, chance):
        at += chance.uniform(*track.pause)
        hold = chance.uniform(*track.hold)
        if at + hold > seconds - FREE_AT_THE_END_S:
            return
        yield Step(at, fault, hold, chance.getrandbits(32))
        at += hold


def _shuffled(faults: tuple[Fault, ...], chance: random.Random) -> Iterator[Fault]:
    """All of them in random order, again and again: also a short run has had each."""
    for _ in itertools.count():
        yield from chance.sample(faults, len(faults))
