"""What one process left in several files is published in its order, whoever comes after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.journal.record import Record, pack
from bridge.journal.store import Row, Store
from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.topic import TopicMessage, Topics, wait_for_events

FILES = 20
GROUPS_PER_FILE = 30


def left_in_files(folder: Path, topic: str) -> list[bytes]:
    """What a process leaves whose file failed again and again, or that took over others: gives what is in them."""
    values = [b'{"id":"%d"}' % number for number in range(FILES * GROUPS_PER_FILE)]
    for first in range(0, len(values), GROUPS_PER_FILE):
        store = Store.create(folder)
        rows = [
            Row(number + 1, topic, 1, 100, pack([Record(topic, b"one key", values[number], [], 5)]))
            for number in range(first, first + GROUPS_PER_FILE)
        ]
        store.write(rows, [], sync=True)
        store.close()
    return values


def first_seen(messages: list[TopicMessage]) -> list[bytes | None]:
    return list(dict.fromkeys(message.value for message in messages))


@pytest.mark.parametrize("processes", ["1", "4"])
def test_what_is_found_in_many_files_is_published_in_order_however_many_processes_start_together(
    processes: str, ingress: MakeIngress, broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    topics.create(broker.bootstrap)
    folder = tmp_path / "left"
    expected = left_in_files(folder, topics.events)
    ingress(broker, BRIDGE_JOURNAL_DIR=str(folder), BRIDGE_WORKERS=processes)
    messages = wait_for_events(
        broker.bootstrap, topics.events, lambda read: len(first_seen(read)) == len(expected), timeout=30
    )
    assert first_seen(messages) == expected
