"""A graceful stop: whatever its steps take, the journal has its time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridge.http.server import HttpServer
from bridge.journal.inspection import records_in, summaries
from bridge.journal.lock import is_ours
from bridge.journal.record import Record
from bridge.process.app import Bridge
from bridge.settings import BridgeSettings


async def test_what_is_not_in_kafka_is_synced_though_the_replies_take_all_the_time_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_server: HttpServer, _timeout: float | None = None) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(HttpServer, "drain", hang)
    settings = BridgeSettings.model_validate(
        {"apps": {"1": ["token"]}, "journal_dir": tmp_path, "admin_port": 0, "kafka_bootstrap_servers": "127.0.0.1:1"}
    )
    bridge = Bridge(settings)
    await bridge.start()
    bridge._journal.append(Record("t", b"k", b"v", [], 5))
    await asyncio.wait_for(bridge.stop(2.0), 60)
    (journal,) = summaries(tmp_path)
    assert not is_ours(journal.path)
    assert [record.value for record in records_in(journal.path)] == [b"v"]
