"""What the publishers of all topics have in common."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from bridge.journal.journal import Journal
from bridge.publish.publisher import Publisher
from bridge.publish.quarantine import Quarantine, QuarantineUsage
from bridge.settings import BridgeSettings
from tests.support.http import until


async def test_a_disk_that_hangs_while_the_quarantine_is_counted_holds_up_no_end_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    counting: list[threading.Thread] = []

    def hang(_quarantine: Quarantine) -> QuarantineUsage:
        counting.append(threading.current_thread())
        answers.wait()
        return QuarantineUsage(0, 0)

    monkeypatch.setattr(Quarantine, "counted", hang)
    servers = {"kafka_bootstrap_servers": "127.0.0.1:1"}
    settings = BridgeSettings.model_validate({"apps": {"1": ["token"]}, "journal_dir": tmp_path, **servers})
    publisher = Publisher(settings)
    journal = Journal.from_settings(settings, outlet=publisher)
    await journal.start()
    try:
        publisher.start(journal)
        await until(lambda: bool(counting))
        await publisher.stop()
        await journal.stop(10.0)
        assert counting[0].daemon, "the interpreter waits for it at its end"
    finally:
        answers.set()
