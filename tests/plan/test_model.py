"""The arithmetic of `bridge plan`."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from bridge.commands.load import load
from bridge.commands.plan import plan
from bridge.commands.planning import read_duration, rows
from bridge.plan.measured import ASSUMED, Assumed, Measured
from bridge.plan.model import Demand, Sizing, size

PLAIN = Measured(
    callbacks_per_core=10_000,
    badge_events_per_core=20_000,
    redis_updates_per_core=50_000,
    record_overhead_bytes=100,
    journal_overhead_bytes=200,
    badge_bytes=100,
    drain_share=0.5,
    reply_s=0.01,
)
HALF = Assumed(busy=0.5, event_bytes=900, replicas=3, retention_days=1, mean_share=0.5, broker_mb_s=10, redis_gb=1)


def sized(rate: float, users: float = 0.0, outage_s: float = 100.0, assumed: Assumed = HALF) -> Sizing:
    return size(Demand(rate, users, outage_s), measured=PLAIN, assumed=assumed)


def test_processes_are_those_that_keep_cores_as_busy_as_is_wanted_and_a_tenth_more() -> None:
    assert sized(1).ingress == 2
    assert sized(5_000).ingress == 2
    assert sized(5_001).ingress == 3
    assert sized(100_000).ingress == 22
    assert sized(100_000).workers == 11


def test_a_journal_holds_what_comes_to_one_process_while_kafka_is_away_and_the_spare_ones_are_not_counted_on() -> None:
    found = sized(100_000)
    assert found.journal_bytes_per_s == pytest.approx(5_000 * 1_100)
    assert found.journal_bytes == pytest.approx(5_000 * 1_100 * 100)
    assert found.drained_s == 50


def test_brokers_are_those_that_traffic_disk_or_safety_need() -> None:
    assert (sized(1).brokers, sized(1).brokers_limit) == (3, "safety")
    traffic = sized(20_000)
    assert traffic.topic_bytes_per_s == 20_000 * 1_000
    assert (traffic.brokers, traffic.brokers_limit) == (6, "traffic")
    disk = sized(20_000, assumed=HALF._replace(retention_days=10, broker_disk_gb=1000))
    assert disk.topic_bytes == pytest.approx(20_000 * 1_000 * 0.5 * 864_000 * 3)
    assert (disk.brokers, disk.brokers_limit) == (26, "disk")


def test_redis_is_as_many_masters_as_updates_or_memory_need() -> None:
    assert (sized(1).redis_nodes, sized(1).redis_limit) == (1, "one is enough")
    assert (sized(100_000).redis_nodes, sized(100_000).redis_limit) == (4, "updates")
    memory = sized(1, users=100_000_000)
    assert memory.badge_bytes == 10e9
    assert (memory.redis_nodes, memory.redis_limit) == (20, "memory")


def test_partitions_let_the_workers_double_and_can_be_shared_out_alike() -> None:
    assert sized(1).partitions == 12
    for rate in (100_000, 1_000_000):
        found = sized(rate)
        assert found.partitions % 12 == 0
        assert found.partitions >= 2 * found.workers


def test_connections_are_those_that_wait_for_a_reply() -> None:
    assert sized(20_000).connections == 200
    assert sized(20_000).open_files == 64 + 50


@pytest.mark.parametrize("rate", [0.001, 1, 999, 123_456, 1e9])
def test_more_callbacks_never_need_less(rate: float) -> None:
    fewer, more = sized(rate, users=rate), sized(rate * 2, users=rate * 2)
    for name in ("ingress", "workers", "partitions", "brokers", "redis_nodes", "journal_bytes_per_s", "topic_bytes"):
        assert getattr(more, name) >= getattr(fewer, name) or name == "journal_bytes_per_s"
    assert len(rows(Demand(rate, rate, 60), more, ASSUMED)) == 13


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("1.5h", 5400), (" 1d ", 86_400), ("2h30m", 9000)]
)
def test_a_duration_has_its_unit(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "2", "h", "2x", "-1h", "0s", "1e9d", "nan", "inf", "2h30", "2h 30m", "9" * 400 + "h"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="write it as 90s"):
        read_duration(text)


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("plan", "--event-bytes"),
        ("plan", "--retention-days"),
        ("plan", "--users"),
        ("load", "--seconds"),
        ("load", "--burst-every"),
    ],
)
@pytest.mark.parametrize("value", ["inf", "nan", "-1", "1e400", "2 hours", ""])
def test_a_number_that_is_none_is_refused_in_words(command: str, option: str, value: str) -> None:
    app = typer.Typer()
    app.command()(plan)
    app.command()(load)
    found = CliRunner().invoke(app, [command, "--rate", "1", option, value], env={"COLUMNS": "200"})
    assert found.exit_code == 2
    assert f"Invalid value for '{option}'" in found.output.replace("\n", " ")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--rate"],
        *(["--rate", value] for value in ("0", "-5", "1e400", "nan", "inf", "2 hours", "")),
        *(["--rate", "1", "--outage", value] for value in ("0", "-2h", "1e400", "nan", "2 hours", "")),
    ],
    ids=" ".join,
)
def test_what_is_missing_or_no_demand_is_named_with_its_option_and_nothing_is_reckoned(arguments: list[str]) -> None:
    app = typer.Typer()
    app.command()(plan)
    found = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert found.exit_code == 2
    assert "--outage" in found.output if "--outage" in arguments else "--rate" in found.output
    assert "ingress processes" not in found.output
    assert "Traceback" not in found.output
