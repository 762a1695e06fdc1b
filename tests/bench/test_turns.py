"""What a run says of itself, and what of it may be published."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import report
from bench.report import NotForPublicationError
from bench.rows import BRIDGE, FLOOR, NAIVE, ROWS
from bench.turns import Between, OpenTurn, Result, RowTurns, SaturatedTurn, ratios, throughputs

ROUNDS = 6


def turn(cpu_us: float, per_second: float = 1000.0, others: float = 0.0) -> SaturatedTurn:
    """A turn at saturation."""
    return SaturatedTurn(per_second, cpu_us, busy=1.0, load_busy=0.5, refused=0, others=others)


def row(cpu_us: float = 50.0, per_second: float = 1000.0, others: float = 0.0) -> RowTurns:
    """The turns of a server, the floor's at 80 us before and 120 us after each."""
    between = Between(turn(cpu_us, per_second, others), (turn(80.0), turn(120.0)))
    steady = OpenTurn(p50_ms=1.0, p99_ms=2.0, p99_9_ms=3.0, cpu_us=300.0, refused=0, others=others)
    return RowTurns({64: [between] * ROUNDS, 256: [between] * ROUNDS}, [steady] * ROUNDS)


def result(**rows: RowTurns) -> Result:
    """A run of all rows, some of which are replaced."""
    machine = {"cpu": "a processor", "cores": "2", "system": "Linux", "python": "CPython 3.11"}
    return Result(machine, "Apache Kafka", ROUNDS, 1.0, "recalls", {one.name: row() for one in ROWS} | rows)


def test_a_turn_is_measured_by_the_turns_of_the_floor_around_it() -> None:
    assert ratios(row(cpu_us=50.0), 64) == [0.5] * ROUNDS


def test_throughput_is_measured_by_the_naive_servers() -> None:
    found = result(**{BRIDGE: row(per_second=3500.0), NAIVE: row(per_second=1000.0)})
    assert throughputs(found, BRIDGE, 64) == [3.5] * ROUNDS


def test_a_turn_is_disturbed_when_one_of_the_floor_beside_it_is() -> None:
    assert Between(turn(50.0), (turn(80.0), turn(120.0, others=0.3))).is_disturbed
    assert not Between(turn(50.0), (turn(80.0), turn(120.0))).is_disturbed


def test_a_quiet_run_is_published_and_only_what_it_is_for_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Path] = []
    monkeypatch.setattr("bench.chart.draw", lambda _result, path: drawn.append(path))
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{report.BEGINS}\nold\n{report.ENDS}\nafter\n")
    report.publish(result(), tmp_path)
    lines = page.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("before", "after")
    assert "old" not in lines
    assert sum(FLOOR in line for line in lines) == 2
    assert drawn == [tmp_path / report.CHART]


def test_a_run_that_others_disturbed_is_not_published(tmp_path: Path) -> None:
    disturbed = result(**{one.name: row(others=0.5) for one in ROWS[:2]})
    assert "not to be published" in report.verdict(disturbed)
    with pytest.raises(NotForPublicationError, match="not to be published"):
        report.publish(disturbed, tmp_path)


def test_a_run_that_lacks_a_row_or_rounds_is_not_published(tmp_path: Path) -> None:
    lacking = result()
    del lacking.rows[ROWS[2].name]
    with pytest.raises(NotForPublicationError, match="Go"):
        report.publish(lacking, tmp_path)
    short = result()
    short.rounds = 5
    with pytest.raises(NotForPublicationError, match="6 rounds"):
        report.publish(short, tmp_path)


def test_the_page_has_a_place_for_the_tables() -> None:
    text = (report.DOCS / "performance.md").read_text()
    assert text.index(report.BEGINS) < text.index(report.ENDS)
