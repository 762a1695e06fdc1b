"""Where records are kept that Kafka refuses for good."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bridge.journal.record import Record
from bridge.publish.quarantine import Quarantine

MAX_BYTES = 1024 * 1024
RECORD = Record("im.events", b"ann", b"\x00\xff" * 100, [("content-type", b"text/plain")], 1_700_000_000_000)


def test_a_record_is_kept_byte_for_byte_and_announced_without_its_content(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, dlq_topic="im.events.dlq", max_bytes=MAX_BYTES)
    announcement = quarantine.keep(RECORD, "too large")
    (kept,) = quarantine
    assert kept.record == RECORD
    assert kept.path.stat().st_mode & 0o777 == 0o600
    headers = dict(announcement.headers)
    assert (announcement.topic, announcement.key, announcement.value) == ("im.events.dlq", b"ann", b"")
    assert (headers["reason"], headers["detail"]) == (b"refused_by_broker", b"too large")
    assert headers["set-aside"].decode() == kept.path.name
    assert headers["original-topic"] == b"im.events"


def test_records_come_in_the_order_in_which_they_were_refused(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, dlq_topic="dlq", max_bytes=MAX_BYTES)
    for number in range(3):
        quarantine.keep(Record("t", b"", b"%d" % number, [], 0), "refused")
    assert [kept.record.value for kept in quarantine] == [b"0", b"1", b"2"]
    assert quarantine.kept == {"t": 3}


def test_a_file_that_cannot_be_read_hides_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    quarantine = Quarantine(tmp_path, dlq_topic="dlq", max_bytes=MAX_BYTES)
    quarantine.keep(RECORD, "refused")
    (tmp_path / "refused" / "0-broken.record").write_bytes(b"\xc1")
    assert [kept.record for kept in quarantine] == [RECORD]
    assert "0-broken.record cannot be read" in caplog.text


def test_what_is_beyond_the_budget_is_kept_counted_and_told_with_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    quarantine = Quarantine(tmp_path, dlq_topic="dlq", max_bytes=400)
    quarantine.keep(RECORD, "refused")
    quarantine.note(quarantine.usage)
    assert not quarantine.state["full"]
    assert "is full" not in caplog.text
    quarantine.keep(RECORD, "refused")
    quarantine.note(quarantine.usage)
    size = sum(kept.path.stat().st_size for kept in quarantine)
    assert quarantine.state == {"files": 2, "bytes": size, "limit_bytes": 400, "full": True}
    assert quarantine.excess_bytes == size - 400
    assert "BRIDGE_QUARANTINE_MAX_BYTES=400" in caplog.text
    assert str(tmp_path / "refused") in caplog.text


def test_what_others_put_there_or_took_away_is_seen_at_the_next_look(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, dlq_topic="dlq", max_bytes=MAX_BYTES)
    assert quarantine.counted() == (0, 0)
    Quarantine(tmp_path, dlq_topic="dlq", max_bytes=MAX_BYTES).keep(RECORD, "refused")
    assert quarantine.counted().files == 1
    (kept,) = quarantine
    kept.path.unlink()
    assert quarantine.counted() == (0, 0)


def test_what_is_no_file_of_ours_is_not_followed(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, dlq_topic="dlq", max_bytes=MAX_BYTES)
    quarantine.keep(RECORD, "refused")
    (tmp_path / "refused" / "0.record").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "refused" / "1.record")
    assert [kept.record for kept in quarantine] == [RECORD]
    assert quarantine.counted().bytes < 1000


def test_a_record_that_the_disk_does_not_take_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    quarantine = Quarantine(tmp_path, dlq_topic="dlq", max_bytes=MAX_BYTES)
    with monkeypatch.context() as patches:
        patches.setattr(os, "fsync", is_full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                quarantine.keep(RECORD, "refused")
    assert quarantine.counted() == quarantine.usage == (0, 0)
    assert not quarantine.kept
    quarantine.keep(RECORD, "refused")
    assert quarantine.counted().files == 1
