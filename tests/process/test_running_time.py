"""A process that hangs is told from one that the machine does not let run, by real ones of each kind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from bridge.process.running_time import RunningTime
from tests.support.waiting import wait_until

SPIN = "while True: pass"
SLEEP = "import time; time.sleep(1000)"
WATCHED_S = 2.0


@contextmanager
def python(source: str, *, idle: bool = False) -> Iterator[int]:
    """A process on one CPU; `idle`: it runs only when nobody else wants that one."""
    cpu = min(os.sched_getaffinity(0))
    begin = f"import os; os.sched_setaffinity(0, {{{cpu}}})"
    if idle:
        begin += "; os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))"
    with subprocess.Popen(
        [sys.executable, "-c", f"{begin}; print(flush=True)\n{source}"], stdout=subprocess.PIPE
    ) as made:
        try:
            assert made.stdout
            made.stdout.readline()
            yield made.pid
        finally:
            made.kill()


def state(pid: int) -> str:
    """See proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def watched(pid: int, *, longest_s: float = 10.0) -> tuple[float, float]:
    """Seconds that were counted of a process, and that have passed."""
    began = time.monotonic()
    running_time, counted_s = RunningTime(pid, longest_s=longest_s), 0.0
    while time.monotonic() < began + WATCHED_S:
        time.sleep(0.1)
        counted_s += running_time.passed_s()
    return counted_s, time.monotonic() - began


@pytest.mark.parametrize("number", [0, signal.SIGSTOP], ids=["waits", "stopped"])
def test_all_time_is_counted_of_one_that_waits_or_is_stopped(number: int) -> None:
    with python(SLEEP) as pid:
        wait_until(lambda: state(pid) == "S", timeout=10, what="one that waits")
        os.kill(pid, number)
        counted_s, passed_s = watched(pid)
    assert counted_s > 0.7 * passed_s


def test_only_the_time_that_it_is_given_is_counted_of_one_that_is_starved() -> None:
    with ExitStack() as stack:
        starved = stack.enter_context(python(SPIN, idle=True))
        for _ in range(2):
            stack.enter_context(python(SPIN))
        counted_s, passed_s = watched(starved)
    assert counted_s < 0.4 * passed_s


def test_of_a_time_in_which_the_watcher_was_held_up_itself_little_is_counted() -> None:
    with python(SLEEP) as pid:
        running_time = RunningTime(pid, longest_s=0.2)
        time.sleep(1)
        assert running_time.passed_s() == 0.2


def test_where_the_kernel_tells_nothing_all_time_is_counted() -> None:
    running_time = RunningTime(2**22 + 1, longest_s=10)
    time.sleep(0.3)
    assert running_time.passed_s() >= 0.3
