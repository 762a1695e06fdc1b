"""What becomes of a run when there is no room for what it looks up."""

from __future__ import annotations

from pathlib import Path

import pytest

from consumers.archive.hour import ArchiveWindow
from consumers.backfill import known_messages
from consumers.backfill.backfill import BackfillOrder, backfill
from consumers.errors import WorkerRefusedError
from tests.consumers.archive.an_hour import HOUR
from tests.consumers.archive.conftest import MakeSettings
from tests.support.broker import Broker
from tests.support.disk import can_mount, mount, unmount
from tests.support.im_archive import c2c_line
from tests.support.im_platform import APP_ID, ImPlatform
from tests.support.topic import Topics, read_all


@pytest.mark.skipif(not can_mount(), reason="needs root that may mount")
async def test_a_disk_that_fills_with_what_is_looked_up_ends_the_run_and_the_next_one_goes_on(  # noqa: PLR0917 - fixtures
    broker: Broker,
    topics: Topics,
    platform: ImPlatform,
    archive_settings: MakeSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topics.create(broker.bootstrap)
    platform.archive.put(APP_ID, "c2c", HOUR, [c2c_line(HOUR, number) for number in range(6000)])
    folder = tmp_path / "small"
    folder.mkdir()
    names = {"topic": topics.events, "dlq_topic": topics.dlq, "badges_topic": topics.badges}
    more = {"kafka_bootstrap_servers": broker.bootstrap, "backfill_events_per_s": 1_000_000, **names}
    order = BackfillOrder(ArchiveWindow(HOUR.start, HOUR.end), [APP_ID], ["c2c"], publish=True)
    mount(folder, size_bytes=384 * 1024)
    try:
        monkeypatch.setattr(known_messages, "CACHE_BYTES", 16 * 1024)
        with pytest.raises(WorkerRefusedError, match=r"disk is full.*CONSUMERS_ARCHIVE_DIR"):
            await backfill(archive_settings(archive_dir=folder, **more), order, lambda _: None)
    finally:
        unmount(folder)
    there = len(read_all(broker.bootstrap, topics.events))
    assert 0 < there < 6000
    done = await backfill(archive_settings(archive_dir=tmp_path / "large", **more), order, lambda _: None)
    assert [(one.archived, one.there, one.published) for one in done.hours] == [(6000, there, 6000 - there)]
