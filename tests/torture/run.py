"""One run: load on, faults by schedule, everything healed, and the verdict."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from tests.torture import faults, verdict
from tests.torture.schedule import TRACKS, Fault, Step, schedule
from tests.torture.stage import Stage, possible
from tests.torture.standstill import StandstillWatch
from tests.torture.traffic import Traffic
from tests.torture.verdict import Report

DRAIN_TIMEOUT_S = 120.0
WAIT_FOR_LOAD_S = 4.0
BROKER_FAULTS = frozenset((Fault.KILL_BROKER, Fault.STOP_BROKER, Fault.FREEZE_BROKER))
INGRESS_FAULTS = frozenset(TRACKS[0].faults)
DOWNSTREAM = frozenset((Fault.KILL_WORKER, Fault.KILL_REDIS, Fault.KILL_AUDIT))
"""Faults that no callback notices."""

Say = Callable[[str], None]
_Action = Callable[[], "tuple[float, _Action] | None"]
_Due = tuple[float, int, _Action]


class Conductor:
    """Carries out a schedule on a stage, and remembers what was done when."""

    def __init__(self, stage: Stage, load: Traffic, say: Say) -> None:
        self._stage = stage
        self._load = load
        self._say = say
        self.done: list[tuple[float, Step]] = []
        """When (monotonic clock) which fault began."""
        self.over: list[tuple[float, Step]] = []
        """When (monotonic clock) which fault was over."""

    def play(self, steps: Sequence[Step], seconds: float) -> None:
        """Make and undo the faults. Where one takes long, the next are late, in the same order."""
        began = time.monotonic()
        order = itertools.count()
        agenda: list[_Due] = [(step.at, next(order), partial(self._begin, step)) for step in steps]
        heapq.heapify(agenda)
        while agenda:
            at, _, action = heapq.heappop(agenda)
            time.sleep(max(0.0, began + at - time.monotonic()))
            if following := action():
                heapq.heappush(agenda, (following[0], next(order), following[1]))
        time.sleep(max(0.0, began + seconds - time.monotonic()))

    def _begin(self, step: Step) -> tuple[float, _Action] | None:
        if step.fault in INGRESS_FAULTS and step.pick & 4:
            # On a slow machine all of them would hit a process that has only just begun to start.
            with suppress(TimeoutError):
                self._load.wait_acknowledged(50, timeout=WAIT_FOR_LOAD_S)
        self._say(f"{step.at:6.1f} s  {step.fault}" + (f", for {step.hold:.1f} s" if step.hold else ""))
        self.done.append((time.monotonic(), step))
        undo = faults.begin(self._stage, step)
        if undo is None:
            self.over.append((time.monotonic(), step))
            return None
        return step.at + step.hold, partial(self._end, step, undo)

    def _end(self, step: Step, undo: Callable[[], None]) -> None:
        undo()
        self.over.append((time.monotonic(), step))


def run(folder: Path, *, seed: int, seconds: float, brokers: int = 1, rate: float = 600, say: Say) -> Report:
    """Torture the system for that long, and say what came of it."""
    can, lacking = possible()
    steps = schedule(seed, seconds, can)
    with Stage(folder, brokers=brokers, workers=1 + seed % 2) as stage:
        with StandstillWatch() as watch, Traffic(stage.ingress.port, connections=32, rate=rate) as load:
            conductor = Conductor(stage, load, say)
            load.wait_acknowledged(100)
            conductor.play(steps, seconds)
        say("faults and load are over; waiting for the topic and the badges")
        report = _judge(stage, load, seed)
        report.standstill = watch
        report.done, report.notes, report.cut_bytes = conductor.done, lacking, stage.cut_bytes
        report.recovered = _recovered(stage, load, conductor)
    return report


def _judge(stage: Stage, load: Traffic, seed: int) -> Report:
    began = time.monotonic()
    drained: float | None = None
    try:
        stage.wait_drained(DRAIN_TIMEOUT_S)
        drained = time.monotonic() - began
    except TimeoutError:
        pass
    events = verdict.read_events(stage)
    delivery = verdict.judge_delivery(load.sent, events, stage)
    audit = verdict.judge_by_audit(stage)
    since = time.monotonic()
    in_redis, on_topic = verdict.wrong_badges(stage, events)
    return Report(
        seed=seed,
        sent=load.sent,
        delivery=delivery,
        audit=audit,
        wrong_in_redis=in_redis,
        wrong_on_topic=on_topic,
        damaged_journals=len(list(stage.journal_dir.glob("*.damaged"))),
        drained_after=drained,
        badges_after=None if in_redis or on_topic else time.monotonic() - since,
    )


def _recovered(stage: Stage, load: Traffic, conductor: Conductor) -> dict[str, list[float]]:
    """After a fault of a broker: until Kafka confirms again. Else: from the fault to the next acknowledgement.

    Not counted where the next fault of ingress, disk or broker came first, for then it is that one's recovery too.
    """
    confirming = [sample.at for sample in stage.samples if sample.kafka_ok]
    answered = sorted(one.replied for one in load.sent if one.acknowledged and one.replied is not None)
    disturbing = [at for at, step in conductor.done if step.fault not in DOWNSTREAM]
    found: dict[str, list[float]] = defaultdict(list)
    for of_broker, begun, signs in ((False, conductor.done, answered), (True, conductor.over, confirming)):
        for at, step in begun:
            if (step.fault in BROKER_FAULTS) is not of_broker or step.fault in DOWNSTREAM:
                continue
            recovered = next((sign for sign in signs if sign > at), None)
            if recovered is not None and not any(at < other < recovered for other in disturbing):
                found[step.fault].append(recovered - at)
    return found
