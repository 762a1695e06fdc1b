"""How a long run is judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bench.resident import Resident, parsed
from bench.soak import FLAT_WITHIN_BYTES, SETTLE_S, Soaked, SoakSample, problems

MEGABYTE = 1_000_000
OUTAGE_S = 100.0


def sample(at: float, megabytes: float, *, held: float = 0.0, away: bool = False, **changes: Any) -> SoakSample:
    """The ingress, as it is in a good run."""
    memory = Resident(heap=int(megabytes * MEGABYTE))
    good: dict[str, Any] = {"files": 19, "threads": 5, "journals": {"1.journal": 1, "1.journal-wal": 1}}
    return SoakSample(at=at, memory=memory, held_bytes=held, free_bytes=0, kafka_away=away, **(good | changes))


def soaked(after_drains: Sequence[float], **changes: Any) -> Soaked:
    """A run with an outage for each of these, so many megabytes after its drain; `changes` hold in its second half."""
    samples = []
    for number, megabytes in enumerate(after_drains):
        began = number * OUTAGE_S
        changed = changes if number >= len(after_drains) / 2 else {}
        samples += [
            sample(began, 500, away=True, held=9e6, **changed),
            sample(began + 10, 500, held=9e6, **changed),
            sample(began + 20, 500, **changed),  # It has just drained.
            sample(began + 20 + SETTLE_S, megabytes, **changed),
            sample(began + 30 + SETTLE_S, megabytes, **changed),
        ]
    load = {"replies": 10, "refused": 0, "scheduled": 10, "in_time": 10}
    return Soaked(
        rate=1,
        minutes=1,
        every=OUTAGE_S,
        restarts=1,
        samples=samples,
        load=load,
        published=10,
        drained=True,
        unproven=[],
        problems=[],
    )


def test_memory_that_is_the_same_after_each_drain_is_flat_whatever_it_is_in_an_outage() -> None:
    run = soaked([80, 81, 80, 82, 81, 82])
    assert run.memory_verdict == "memory after each drain: 80, 81, 80, 82, 81, 82 MB; flat"
    assert not problems(run)


def test_memory_that_is_more_after_the_last_drains_is_not_flat() -> None:
    run = soaked([80, 80, 82, 84, 86, 86])
    assert problems(run) == ["memory after each drain: 80, 80, 82, 84, 86, 86 MB; not flat"]
    assert FLAT_WITHIN_BYTES < 6 * MEGABYTE


def test_memory_is_not_judged_by_one_drain() -> None:
    run = soaked([80])
    assert "--every" in run.memory_verdict
    assert not problems(run)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"files": 40}, "open files grew by 21"),
        ({"threads": 9}, "threads grew by 4"),
        ({"journals": {"1.journal": 1, "2.journal": 1, "2.journal-wal": 1}}, "files of the journal grew by 1"),
        ({"journals": {"1.journal": 1, "1.journal-wal": 30 * MEGABYTE}}, "write-ahead logs grew by 30 MB"),
        ({"journals": {"1.journal": 200 * MEGABYTE, "1.journal-wal": 1}}, "journals that had drained took 200 MB"),
    ],
    ids=["files", "threads", "journals", "logs", "disk"],
)
def test_whatever_else_grows_is_told(changes: dict[str, Any], problem: str) -> None:
    assert problems(soaked([80, 80, 80, 80], **changes)) == [problem]


def test_what_the_audit_cannot_prove_is_a_problem() -> None:
    run = soaked([80, 80, 80, 80])
    run.unproven = ["2 are missing: a/7 im.events 3-4"]
    assert problems(run) == ["the audit: 2 are missing: a/7 im.events 3-4"]


SMAPS = """\
563a-563b r-xp 00000000 08:01 123 /usr/bin/python3.11
Size:               8 kB
Rss:                4 kB
563c-563d rw-p 00000000 00:00 0   [heap]
Rss:               20 kB
7f00-7f01 rw-p 00000000 00:00 0
Rss:              100 kB
VmFlags: rd wr mr mw me ac sd
7f02-7f03 rw-p 00000000 00:00 0 [stack]
Rss:                3 kB
7f04-7f05 r--p 00000000 08:01 9 /lib/a name with spaces.so
Rss:                5 kB
"""


def test_resident_memory_is_told_apart() -> None:
    found = parsed(SMAPS.splitlines())
    assert found == Resident(heap=20 * 1024, anonymous=103 * 1024, files=9 * 1024)
    assert found.total == 132 * 1024
