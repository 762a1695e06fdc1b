"""Where records are kept that Kafka refuses for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.journal.record import Record
from bridge.publish import quarantine as module
from bridge.publish.quarantine import Quarantine

RECORD = Record("im.events", b"ann", b"\x00\xff" * 100, [("content-type", b"text/plain")], 1_700_000_000_000)


def test_a_record_is_kept_byte_for_byte_and_announced_without_its_content(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, dlq_topic="im.events.dlq")
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
    quarantine = Quarantine(tmp_path, dlq_topic="dlq")
    for number in range(3):
        quarantine.keep(Record("t", b"", b"%d" % number, [], 0), "refused")
    assert [kept.record.value for kept in quarantine] == [b"0", b"1", b"2"]


def test_a_file_that_cannot_be_read_hides_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    quarantine = Quarantine(tmp_path, dlq_topic="dlq")
    quarantine.keep(RECORD, "refused")
    (tmp_path / "refused" / "0-broken.record").write_bytes(b"\xc1")
    assert [kept.record for kept in quarantine] == [RECORD]
    assert "0-broken.record cannot be read" in caplog.text


def test_a_full_folder_takes_nothing_more_and_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 2)
    quarantine = Quarantine(tmp_path, dlq_topic="dlq")
    for _ in range(2):
        quarantine.keep(RECORD, "refused")
    with pytest.raises(OSError, match="move them elsewhere"):
        quarantine.keep(RECORD, "refused")
