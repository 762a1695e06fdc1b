"""Whether others use the machine."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.neighbours import Neighbours, is_disturbed, spent

BURN_S = 1.0
BURN = f"import time\nwhile time.process_time() < {BURN_S}: pass"
ORPHAN = f"import os, sys\nif os.fork(): sys.exit()\nos.setsid()\n{BURN}\nos.write(1, b'.')"
"""A process whose parent has gone, so that it is nobody's."""
ROUNDING_S = 0.1


def test_what_a_process_of_ours_has_used_counts_as_ours_when_it_has_ended_too() -> None:
    before = spent()
    with subprocess.Popen([sys.executable, "-c", f"{BURN}\nprint()\ninput()"], stdin=-1, stdout=-1) as ours:
        assert ours.stdout
        ours.stdout.readline()
        alive = spent()
        ours.communicate(b"\n")
    ended = spent()
    for after in (alive, ended):
        assert after.ours - before.ours >= BURN_S - ROUNDING_S
        assert after.machine - before.machine >= BURN_S - ROUNDING_S


def test_what_a_process_of_others_has_used_counts_as_theirs() -> None:
    reading, writing = os.pipe()
    before, neighbours = spent(), Neighbours()
    subprocess.run([sys.executable, "-c", ORPHAN], stdout=writing, check=True)
    os.close(writing)
    assert os.read(reading, 1) == b"."
    os.close(reading)
    after = spent()
    others = (after.machine - before.machine) - (after.ours - before.ours)
    assert others >= BURN_S - ROUNDING_S
    assert neighbours.cores() > 0


def test_a_tenth_of_a_core_is_the_limit() -> None:
    assert not is_disturbed(0.05)
    assert is_disturbed(0.2)
