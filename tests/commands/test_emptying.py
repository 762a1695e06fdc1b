"""When the journals of an ingress count as empty: what its metrics say, of one process or several, and its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.commands import emptying
from bridge.commands.emptying import Held
from bridge.journal.store import Store
from bridge.settings import InspectionSettings

JOURNAL, MEMORY, KAFKA = "bridge_journal_bytes", "bridge_memory_bytes", "bridge_kafka_ok"
ONE = [(JOURNAL, "", 0.0), (MEMORY, "", 0.0), (KAFKA, "", 1.0)]
TWO = [(name, process, value) for process in "01" for name, _, value in ONE]


def held(samples: list[tuple[str, str, float]], folder: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> Held:
    monkeypatch.setattr(emptying, "_samples", lambda settings: samples)
    return emptying._held(InspectionSettings.model_validate({"workers": workers}), folder)


@pytest.mark.parametrize(
    ("samples", "workers", "is_empty"),
    [
        (ONE, 1, True),
        (TWO, 2, True),
        ([*ONE, *TWO], 2, True),
        ([(JOURNAL, "", 1.0), *ONE[1:]], 1, False),
        ([*TWO[:3], (JOURNAL, "1", 1.0), *TWO[4:]], 2, False),
        ([(JOURNAL, "", 7.0), *ONE[1:], (JOURNAL, "0", 3.0), (JOURNAL, "1", 4.0)], 1, False),
        ([ONE[0], (MEMORY, "", 9.0), ONE[2]], 1, True),
        ([ONE[0], (MEMORY, "", 9.0), (KAFKA, "", 0.0)], 1, False),
        ([*ONE[:2], (KAFKA, "", 0.0)], 1, True),
        (TWO[:3], 2, False),
        ([*ONE, *TWO[:3]], 2, False),
    ],
    ids=[
        "nothing",
        "nothing in two processes",
        "nothing in two, and their total",
        "something on disk",
        "something on the disk of one of two",
        "a total",
        "some memory on its way to Kafka",
        "some memory while Kafka is away",
        "nothing while Kafka is away",
        "one of two does not tell",
        "one of two does not tell, and a total",
    ],
)
def test_an_ingress_is_empty_when_each_process_says_so(
    samples: list[tuple[str, str, float]], workers: int, is_empty: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = held(samples, tmp_path, monkeypatch, workers)
    assert found.is_empty is is_empty, found.described()


def test_a_total_is_not_added_to_what_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [(JOURNAL, "", 7.0), (JOURNAL, "0", 3.0), (JOURNAL, "1", 4.0), *TWO]
    assert held(samples, tmp_path, monkeypatch, 2).stored_bytes == 7


def test_a_journal_in_the_folder_counts_while_nobody_owns_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owned = Store.create(tmp_path)
    assert held(ONE, tmp_path, monkeypatch, 1).is_empty
    owned.close()
    found = held(ONE, tmp_path, monkeypatch, 1)
    assert not found.is_empty
    assert "1 journal waits to be adopted" in found.described()
    assert held(ONE, tmp_path / "nowhere", monkeypatch, 1).is_empty
