"""What `bridge status` shows people: nothing that is not known, in as many columns as a terminal has."""

from __future__ import annotations

import msgspec
import pytest
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from bridge.commands import status_display
from bridge.commands.ingress_status import IngressStatus, Total, UnansweredJournal
from bridge.process.status import DiskStatus, KafkaStatus, ProcessStatus, WaitingStatus
from common.terminal import Output

TIME = "2026-01-02T03:04:05.678Z"
AWAY = ProcessStatus(
    process="11",
    pid=4194304,
    host="a-host-with-a-long-name-as-pods-have-them",
    version="0.1.0",
    started=TIME,
    state="serving",
    ready=True,
    kafka=KafkaStatus("away", TIME, 3400, "it does not answer", "kafka:9092", {}),
    waiting=WaitingStatus(1_234_567, 1023 << 20, TIME, 86_000, 1.0, 1.0, None, None, None, None),
    disk=DiskStatus("/var/lib/im-bridge", True, "", 0, 1 << 31, 1 << 30, 1 << 40, [], 0, 0),
    refusals=[],
)
NOTHING = WaitingStatus(0, 0, None, 0, None, None, None, None, None, None)
WELL = msgspec.structs.replace(AWAY, kafka=KafkaStatus("confirming", TIME, 1, "", "kafka:9092", {}), waiting=NOTHING)
NOBODYS = UnansweredJournal("1.journal", "", None, 12288, TIME, 3)


def shown(
    capsys: pytest.CaptureFixture[str],
    *processes: ProcessStatus,
    left: list[UnansweredJournal] | None = None,
    total: Total | None = None,
) -> str:
    total = total or Total(events=sum(one.waiting.events for one in processes))
    found = IngressStatus("/var/lib/im-bridge", TIME, False, total, [*processes], [], left or [])
    status_display._show(found, Output())
    return capsys.readouterr().out


def test_all_is_in_kafka_only_where_nobody_left_a_journal(capsys: pytest.CaptureFixture[str]) -> None:
    assert "all that was acknowledged is in Kafka" in shown(capsys, WELL)
    told = shown(capsys, WELL, left=[NOBODYS])
    assert "all that was acknowledged is in Kafka" not in told
    assert "nothing in the processes that answer; 12.0 KiB in 1 journal besides" in told
    assert "1.journal" in told


def test_the_processes_fit_into_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, AWAY, msgspec.structs.replace(AWAY, process="12")).splitlines()
    rows = [line.split("\t") for line in lines if line.count("\t") == len(status_display.PROCESSES) - 1]
    assert [row[0] for row in rows] == ["process", "11", "12"], "what a column says is told in a log, too"
    table = Table(*status_display.PROCESSES)
    for row in rows[1:]:
        table.add_row(*row)
    assert Measurement.get(Console(width=200), Console(width=200).options, table).maximum <= 80


def test_a_process_is_named_with_its_host_where_there_are_several(capsys: pytest.CaptureFixture[str]) -> None:
    other = msgspec.structs.replace(AWAY, host="b")
    assert "\nb 11\t" in shown(capsys, AWAY, other)


def test_a_restart_is_harmless_only_while_the_disk_keeps_what_waits(capsys: pytest.CaptureFixture[str]) -> None:
    def failing(process: ProcessStatus) -> ProcessStatus:
        disk = msgspec.structs.replace(process.disk, ok=False, problem="no space left")
        return msgspec.structs.replace(process, disk=disk)

    assert "A restart loses nothing" in shown(capsys, AWAY)
    told = shown(capsys, AWAY, failing(AWAY))
    assert "A restart loses nothing" not in told
    assert "\ndo not   restart: " in told
    assert "do not   restart Kafka or this ingress" in shown(capsys, failing(WELL))
    assert "so  " not in shown(capsys, WELL)


def full(process: ProcessStatus) -> ProcessStatus:
    disk = msgspec.structs.replace(
        process.disk, ok=False, problem="all of BRIDGE_JOURNAL_MAX_BYTES is used", journal_bytes=1 << 31, room_bytes=0
    )
    return msgspec.structs.replace(process, disk=disk)


def test_where_the_budget_is_used_a_larger_one_takes_callbacks_again_and_nobody_is_sent_to_the_disk(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = shown(capsys, full(AWAY), full(AWAY))
    assert "so       callbacks are refused" in told
    assert "raise BRIDGE_JOURNAL_MAX_BYTES" in told
    assert "on the disk): full\n" in told
    assert "the disk back" not in told
    assert "do not   restart" not in told, "it is what takes the larger budget"
    told = shown(capsys, full(AWAY), AWAY, total=Total(room_bytes=1 << 30, full_at=TIME, full_in_s=600))
    assert "so       in 1 of 2 processes callbacks are refused" in told
    assert "1 of 2 processes are full; the others full at 2026-01-02 03:04:05 UTC (in 10 min)" in told
    assert "until it has taken some of what waits" in shown(capsys, full(WELL)), "it drains"


def test_where_the_disk_is_full_before_the_budget_nobody_is_told_to_raise_that(
    capsys: pytest.CaptureFixture[str],
) -> None:
    total = Total(room_bytes=5 << 20, free_bytes=5 << 20, is_disk_short=True, full_at=TIME, full_in_s=60)
    told = shown(capsys, AWAY, total=total)
    assert "room     5.0 MiB (what is free on the disk; BRIDGE_JOURNAL_MAX_BYTES of each process would be more)" in told
    assert "\nlonger   remove from the disk what others keep there" in told
    assert "raise BRIDGE_JOURNAL_MAX_BYTES" not in told


def test_of_other_topics_it_is_told_what_is_wrong_with_them_not_that_kafka_is_away(
    capsys: pytest.CaptureFixture[str],
) -> None:
    others = {"im.events.dlq": "it does not answer", "im.old": "the topic im.old cannot be used: it is forbidden"}
    kafka = KafkaStatus("away", TIME, 1, "nothing listens there", "kafka:9092", others)
    told = shown(capsys, msgspec.structs.replace(AWAY, kafka=kafka))
    assert "im.events.dlq" not in told
    assert "topic im.old: the topic im.old cannot be used: it is forbidden" in told
    kafka = KafkaStatus("confirming", TIME, 1, "", "kafka:9092", {"im.events.dlq": "too few replicas"})
    assert "topic im.events.dlq: too few replicas" in shown(capsys, msgspec.structs.replace(WELL, kafka=kafka))


def test_whoever_has_no_more_time_than_that_is_told_what_then_happens_and_how_to_have_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = shown(capsys, AWAY, total=Total(events=3, full_at=TIME, full_in_s=600))
    assert "full at 2026-01-02 03:04:05 UTC (in 10 min)" in told
    assert "from then on callbacks are refused, and lost" in told
    assert "\nlonger   raise BRIDGE_JOURNAL_MAX_BYTES" in told
    assert "where it is a variable of the environment, as in containers, start them anew" in told
    told = shown(capsys, AWAY, total=Total(events=3))
    assert "until when is not known yet" in told, "as just after a reload"
    assert "not filling up" not in told
    told = shown(capsys, AWAY, total=Total(events=3, events_per_s=0.0, bytes_per_s=0.0))
    assert "longer" not in told, "it does not fill up"
    assert "\ndo not   remove the folder, its files or its disk" in told


def test_what_a_dead_process_left_is_taken_over_at_once_and_published_when_kafka_is_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status_display._show(IngressStatus("/j", TIME, False, Total(), [AWAY], [], [NOBODYS]), Output())
    told = " ".join(capsys.readouterr().err.split())
    assert "takes it over within a minute or two, and publishes it when Kafka confirms" in told


def test_what_grows_so_slowly_that_nobody_plans_with_it_is_not_said_to_stand_still(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "not full for weeks" in shown(capsys, AWAY, total=Total(events=3, events_per_s=0.1, bytes_per_s=90.0))
    assert "not filling up" in shown(capsys, AWAY, total=Total(events=3, events_per_s=0.0, bytes_per_s=0.0))
    assert "not filling up" in shown(capsys, WELL, total=Total(events=3, events_per_s=-9.0, bytes_per_s=-900.0))


def test_the_names_that_the_audit_has_for_processes_are_told_where_there_are_some(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "audit" not in shown(capsys, WELL)
    named = msgspec.structs.replace(WELL, life="37a7cd15/1795722762")
    assert "audit    4194304 is 37a7cd15/1795722762\n" in shown(capsys, named)
    other = msgspec.structs.replace(WELL, pid=7, life="a5908ab0/1795722763")
    told = shown(capsys, named, other)
    assert "of the processes 4194304 is 37a7cd15/1795722762, 7 is a5908ab0/1795722763" in told
