"""When the journals of an ingress count as empty: what its metrics say, of one process or several, and its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.commands import emptying
from bridge.commands.emptying import Held
from bridge.journal.store import Store
from bridge.settings import InspectionSettings
from common.metrics.catalogue import by_process

JOURNAL, MEMORY, KAFKA = "bridge_journal_bytes", "bridge_memory_bytes", "bridge_kafka_ok"
Samples = list[tuple[str, str, float]]


def told(*processes: str, journal: float = 0, memory: float = 0, kafka: float = 1) -> Samples:
    """What the page of metrics has where these processes tell."""
    of_all = {JOURNAL: journal, MEMORY: memory, KAFKA: kafka}
    total = [(name, "", value) for name, value in of_all.items()]
    return total + [(by_process(name), process, 0.0) for process in processes for name in of_all]


def held(samples: Samples, folder: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> Held:
    monkeypatch.setattr(emptying, "_samples", lambda settings: samples)
    return emptying._held(InspectionSettings.model_validate({"workers": workers}), folder)


@pytest.mark.parametrize(
    ("samples", "workers", "is_empty"),
    [
        (told("0"), 1, True),
        (told("0", "1"), 2, True),
        (told("0", journal=1), 1, False),
        (told("0", "1", journal=1), 2, False),
        (told("0", memory=9), 1, True),
        (told("0", memory=9, kafka=0), 1, False),
        (told("0", kafka=0), 1, True),
        (told("0"), 2, False),
        (told(), 1, False),
        (told("0", "1"), 1, True),
    ],
    ids=[
        "nothing",
        "nothing in two processes",
        "something on disk",
        "something on the disk of one of two",
        "some memory on its way to Kafka",
        "some memory while Kafka is away",
        "nothing while Kafka is away",
        "one of two does not tell",
        "the only one does not tell",
        "more than are set",
    ],
)
def test_an_ingress_is_empty_when_each_process_says_so(
    samples: Samples, workers: int, is_empty: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = held(samples, tmp_path, monkeypatch, workers)
    assert found.is_empty is is_empty, found.described()


def test_a_journal_in_the_folder_counts_while_nobody_owns_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owned = Store.create(tmp_path)
    assert held(told("0"), tmp_path, monkeypatch, 1).is_empty
    owned.close()
    found = held(told("0"), tmp_path, monkeypatch, 1)
    assert not found.is_empty
    assert "1 journal waits to be adopted" in found.described()
    assert held(told("0"), tmp_path / "nowhere", monkeypatch, 1).is_empty
