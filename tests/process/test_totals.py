"""Several processes on one page of metrics: the same names and labels as of one, totals that never fall."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import msgspec
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bridge import metrics
from bridge.process.handover import HandedCounts
from bridge.process.readiness import together
from bridge.process.totals import ProcessPage, Roll, Totals
from common.metrics.catalogue import Aggregate

PAGE = """# HELP process_start_time_seconds When it began.
# TYPE process_start_time_seconds gauge
process_start_time_seconds {started}
# HELP process_cpu_seconds_total Processor time.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total {count}
# HELP bridge_accepted_total Accepted.
# TYPE bridge_accepted_total counter
bridge_accepted_total{{command="a"}} {count}
bridge_accepted_total{{command="b"}} 1
# HELP bridge_refused_total Refused.
# TYPE bridge_refused_total counter
bridge_refused_total{{reason="fault"}} {count}
# HELP bridge_reply_seconds Replies.
# TYPE bridge_reply_seconds histogram
bridge_reply_seconds_bucket{{le="0.1"}} {count}
bridge_reply_seconds_bucket{{le="+Inf"}} {count}
bridge_reply_seconds_count {count}
bridge_reply_seconds_sum 0.5
# HELP bridge_journal_bytes Bytes.
# TYPE bridge_journal_bytes gauge
bridge_journal_bytes {gauge}
# HELP bridge_disk_ok 1 while it is.
# TYPE bridge_disk_ok gauge
bridge_disk_ok {disk}
# HELP bridge_clock_skew_seconds Skew.
# TYPE bridge_clock_skew_seconds gauge
bridge_clock_skew_seconds {skew}
"""


FAULTS = 'bridge_refused_total{reason="fault"}'
ACCEPTED_BY_1 = 'bridge_process_accepted_total{process="1"}'


class Processes:
    """Pages that a test makes, and what they are together."""

    def __init__(self) -> None:
        self._told: dict[int, tuple[str, str, bool]] = {}
        """Process id → name, page, and whether it has begun."""
        self._totals = self._made()

    def _made(self, handed: Iterable[HandedCounts] = ()) -> Totals:
        return Totals(
            lambda: [self._page(pid) for pid in self._told],
            lambda: Roll(ready=True, ready_by_process={"0": True}, wanted=2, accepting=1, restarts=4),
            handed,
        )

    def _page(self, pid: int) -> ProcessPage:
        name, text, has_begun = self._told[pid]
        return ProcessPage(name, pid, text_string_to_metric_families(text), has_begun)

    def tells(
        self,
        name: str,
        *,
        started: int,
        count: int,
        gauge: int = 0,
        disk: int = 1,
        skew: float = 0,
        pid: int = 0,
        has_begun: bool = True,
    ) -> None:
        """What a process that lives tells now, whose id is when it started where nothing else is said."""
        text = PAGE.format(started=started, count=count, gauge=gauge, disk=disk, skew=skew)
        self._told[pid or started] = name, text, has_begun

    def begins(self, name: str, *, pid: int) -> None:
        """A process is there that has told nothing."""
        self._told[pid] = name, "", False

    def ends(self, pid: int) -> None:
        """A process has told all that it will."""
        self._totals.retire(self._page(pid))
        del self._told[pid]

    def reload(self) -> None:
        """Another program adds up from now on."""
        text = msgspec.json.encode(self._totals.hand_over())
        self._totals = self._made(msgspec.json.decode(text, type=list[HandedCounts]))

    def together(self) -> Mapping[str, float]:
        """Sample → value."""
        text = generate_latest(self._totals).decode()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}


@pytest.fixture
def processes() -> Processes:
    made = Processes()
    made.tells("0", started=100, count=3, gauge=10, skew=-5)
    made.tells("1", started=101, count=4, gauge=20, disk=0, skew=2)
    return made


def test_counters_and_histograms_are_summed_and_a_gauge_is_what_its_declaration_says(processes: Processes) -> None:
    shown = processes.together()
    assert shown['bridge_refused_total{reason="fault"}'] == 7
    assert shown['bridge_reply_seconds_bucket{le="0.1"}'] == 7
    assert shown["bridge_reply_seconds_sum"] == 1
    assert shown["bridge_journal_bytes"] == 30
    assert shown["bridge_disk_ok"] == 0, "it is well only where it is well for all"
    assert shown["bridge_clock_skew_seconds"] == -5
    assert shown["process_start_time_seconds"] == 100, "a process that is replaced is no start of all"
    assert shown["process_cpu_seconds_total"] == 7


def test_what_matters_of_each_has_a_name_of_its_own_so_that_no_sum_counts_twice(processes: Processes) -> None:
    shown = processes.together()
    assert shown['bridge_process_journal_bytes{process="1"}'] == 20
    assert shown['bridge_process_cpu_seconds_total{process="0"}'] == 3
    assert shown['bridge_process_accepted_total{process="0"}'] == 4, "whatever the command"
    assert shown['bridge_process_ready{process="0"}'] == 1
    assert not [name for name in shown if "process=" in name and not name.startswith("bridge_process_")]


def test_one_process_has_the_names_and_labels_of_many(processes: Processes) -> None:
    many = {name for name in processes.together() if 'process="1"' not in name}
    alone = Processes()
    alone.tells("0", started=100, count=3)
    assert set(alone.together()) == many


def test_a_total_does_not_fall_when_a_process_ends_and_another_takes_its_place(processes: Processes) -> None:
    processes.together()
    processes.ends(101)
    shown = processes.together()
    assert shown[FAULTS] == 7, "what it counted stays"
    assert shown["bridge_journal_bytes"] == 10, "what it held does not"
    assert 'bridge_process_journal_bytes{process="1"}' not in shown
    processes.begins("1", pid=200)
    assert processes.together()[FAULTS] == 7
    processes.tells("1", started=200, count=1)
    shown = processes.together()
    assert (shown[FAULTS], shown[ACCEPTED_BY_1]) == (8, 4 + 1 + 1 + 1), "of the process, too"
    processes.tells("1", started=201, count=2, pid=200)
    assert processes.together()[FAULTS] == 10, "its id may be another's, later"


def test_what_a_process_told_at_its_end_is_counted_once_though_nobody_has_asked_since(processes: Processes) -> None:
    processes.together()
    processes.tells("1", started=101, count=9)
    processes.ends(101)
    assert processes.together()[FAULTS] == 12
    assert processes.together()[FAULTS] == 12


def test_a_process_that_leaves_is_there_beside_its_successor(processes: Processes) -> None:
    processes.tells("1", started=200, count=1, gauge=5, disk=1)
    shown = processes.together()
    assert (shown[FAULTS], shown["bridge_journal_bytes"]) == (8, 35)
    assert shown['bridge_process_journal_bytes{process="1"}'] == 25, "both hold something for Kafka"
    assert shown['bridge_process_disk_ok{process="1"}'] == 0
    assert shown[ACCEPTED_BY_1] == 4 + 1 + 1 + 1


def test_of_a_process_that_begins_the_counts_are_there_and_no_gauges(processes: Processes) -> None:
    processes.tells("1", started=101, count=4, gauge=20, disk=1)
    processes.tells("1", started=200, count=0, disk=0, has_begun=False)
    shown = processes.together()
    assert (shown[FAULTS], shown["bridge_disk_ok"]) == (7, 1), "it does not look as if the disk failed"
    alone = Processes()
    alone.tells("0", started=100, count=0, has_begun=False)
    assert alone.together()[FAULTS] == 0, "there from the start"


def test_totals_go_on_in_the_program_that_a_reload_brings(processes: Processes) -> None:
    processes.together()
    processes.ends(101)
    processes.begins("1", pid=200)
    before = processes.together()
    processes.reload()
    assert processes.together() == before
    processes.reload()
    processes.ends(100)
    shown = processes.together()
    assert shown[FAULTS] == 7
    assert shown['bridge_reply_seconds_bucket{le="0.1"}'] == 7


def test_what_the_parent_counts_itself_is_not_handed_over_for_it_is_told_by_the_next_program(
    processes: Processes,
) -> None:
    processes.tells("parent", started=99, count=5, pid=os.getpid())
    assert processes.together()["process_cpu_seconds_total"] == 3 + 4 + 5
    processes.reload()
    processes.tells("parent", started=98, count=6, pid=os.getpid())
    assert processes.together()["process_cpu_seconds_total"] == 3 + 4 + 6, "though the clock was set meanwhile"


def test_what_another_version_counted_and_this_one_does_not_know_is_left_out() -> None:
    labels = (("reason", "fault"),)
    counts = [("bridge_refused", "bridge_refused_total", labels, 5.0), ("bridge_old", "bridge_old_total", (), 1.0)]
    made = Totals(lambda: (), lambda: Roll(False, {}, 1, 0, 0), [HandedCounts("0", [*counts], pid=7, started=1)])
    text = generate_latest(made).decode()
    assert f"{FAULTS} 5.0" in text
    assert "bridge_old" not in text


def test_how_the_processes_fare_is_told(processes: Processes) -> None:
    shown = processes.together()
    assert (shown["bridge_ready"], shown["bridge_processes"], shown["bridge_processes_accepting"]) == (1, 2, 1)
    assert shown["bridge_restarts_total"] == 4


@pytest.mark.parametrize(
    ("total", "expected"), [(Aggregate.SUM, -2), (Aggregate.MOST, 1), (Aggregate.LEAST, -3), (Aggregate.FARTHEST, -3)]
)
def test_a_total_is_what_its_name_says(total: Aggregate, expected: float) -> None:
    assert total.of([1.0, -3.0]) == expected


def test_every_metric_of_the_page_of_a_process_is_declared() -> None:
    declared = {one.name.removesuffix("_total") for one in metrics.DECLARATIONS}
    assert {family.name for family in metrics.REGISTRY.collect()} <= declared
    assert {family.name for family in metrics.PARENT_REGISTRY.collect()} <= declared


def test_readiness_of_several_has_the_fields_of_one_as_they_are_worst() -> None:
    quarantine = {"files": 0, "bytes": 0, "limit_bytes": 9, "full": False}
    well = {"ready": True, "disk": "ok", "kafka": "confirming", "quarantine": quarantine, "state": "serving"}
    ill = {
        **well,
        "disk": "failing",
        "disk_problem": "it is full",
        "kafka": "slow",
        "quarantine": {**quarantine, "files": 1, "bytes": 5},
        "allowed_networks": "2 networks",
    }
    assert together([{"state": "starting"}]) == {}
    assert together([{"state": "starting"}, well]) == {"disk": "ok", "kafka": "confirming", "quarantine": quarantine}
    assert together([ill, well]) == {
        "disk": "failing",
        "disk_problem": "it is full",
        "kafka": "slow",
        "quarantine": {**quarantine, "files": 1, "bytes": 5},
        "allowed_networks": "2 networks",
    }
