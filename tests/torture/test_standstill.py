"""What is late because the machine let nobody run is told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture import standstill
from tests.torture.standstill import StandstillWatch


def test_of_a_span_of_time_that_part_counts_in_which_nothing_moved() -> None:
    watch = StandstillWatch()
    watch.spans = [(10.0, 12.0), (20.0, 20.5)]
    assert watch.within(0, 9) == 0
    assert watch.within(11, 13) == 1
    assert watch.within(0, 30) == 2.5


def test_how_long_processes_waited_is_told_where_the_system_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "PRESSURE", tmp_path / "cpu")
    with StandstillWatch() as watch:
        pass
    assert watch.pressed is None
    (tmp_path / "cpu").write_text("some avg10=1.00 avg60=1.00 avg300=1.00 total=100\nfull total=0\n")
    with StandstillWatch() as watch:
        (tmp_path / "cpu").write_text("some avg10=1.00 avg60=1.00 avg300=1.00 total=3600000100\nfull total=0\n")
    assert watch.pressed is not None
    assert watch.pressed > 0
