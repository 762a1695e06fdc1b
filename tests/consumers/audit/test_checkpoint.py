"""A ledger as a record: read again it is the same, and it fits."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from random import Random

import msgspec
import pytest

from common.audit.header import Life, RecordNumber
from common.audit.statement import Statement, TopicStatement
from consumers.audit.checkpoint import (
    MAX_CHECKPOINT_BYTES,
    MAX_UNPACKED_BYTES,
    UnknownFormatError,
    decode_ledger,
    encode_ledger,
)
from consumers.audit.judging import judge
from consumers.audit.ledger import FORMAT, MAX_INTERVALS, AuditLedger
from consumers.audit.life import Stated
from consumers.audit.partition_log import PartitionLog, Retention
from consumers.audit.stored_ledger import FoundLedgers, StoredLedger
from consumers.audit.summary import summarize
from consumers.worker import OutgoingRecord

NOW_MS = 1_800_000_000_000


def ledger_with(numbers: range, given: int) -> AuditLedger:
    """A ledger of one life, of which these numbers came, and all up to `given` should have."""
    ledger = AuditLedger(begun_ms=NOW_MS - 1_000_000, term=3, sequence=7, audit_position=5)
    for number in numbers:
        ledger.note_record("im.events", RecordNumber("a", 1, number), NOW_MS - 1_000_000 + 37 * number)
    log = ledger.logs["im.events/0"] = PartitionLog("im.events", 0)
    log.read((4, NOW_MS - 1000), (9, NOW_MS))
    log.begins_at(20, Retention(1000, -1), NOW_MS, is_initial=False)
    statement = Statement(
        process="a",
        epoch=1,
        folder="f",
        host="h",
        pid=1,
        version="1",
        started_ms=NOW_MS - 1_000_000,
        time_ms=NOW_MS,
        interval_s=10,
        topics={"im.events": TopicStatement(given=given, confirmed_through=given)},
        set_aside={"a/1": {"im.events": [(2, 2)]}},
    )
    ledger.read_statement(Stated(4, statement), NOW_MS)
    ledger.make_due([Stated(4, statement)])
    ledger.forget("gone", 3, NOW_MS)
    judge(ledger, NOW_MS)
    return ledger


def test_what_was_written_is_read() -> None:
    ledger = ledger_with(range(1, 100, 3), 100)
    assert decode_ledger(encode_ledger(ledger)) == ledger


def test_with_very_many_gaps_it_fits_and_the_sums_stay() -> None:
    ledger = ledger_with(range(1, 200_001, 2), 200_000)
    stream = ledger.life(Life("a", 1)).stream("im.events")
    assert len(stream.seen) <= MAX_INTERVALS
    assert len(encode_ledger(ledger)) <= MAX_CHECKPOINT_BYTES
    counts = summarize(ledger, NOW_MS).counts
    assert (counts.arrived, counts.missing + counts.expired + counts.set_aside) == (100_000, 100_000)


@pytest.mark.parametrize("value", [b"", b"x", b"x\x9c"], ids=["empty", "text", "cut"])
def test_what_is_no_ledger_is_refused(value: bytes) -> None:
    with pytest.raises(UnknownFormatError):
        decode_ledger(value)


def test_a_ledger_of_another_version_is_refused() -> None:
    other = msgspec.structs.replace(ledger_with(range(1, 3), 2), format=FORMAT + 1)
    with pytest.raises(UnknownFormatError, match=f"its format is {FORMAT + 1}"):
        decode_ledger(encode_ledger(other))


def test_what_unpacks_to_more_than_a_ledger_can_be_is_refused() -> None:
    with pytest.raises(UnknownFormatError, match="larger than a ledger can be"):
        decode_ledger(zlib.compress(bytes(MAX_UNPACKED_BYTES + 1)))


class Written:
    """Stands in for a producer, and keeps what it is given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def publish(self, _topic: str, records: Iterable[OutgoingRecord]) -> None:
        """See `RecordProducer.publish`."""
        self.sizes += [len(one.value or b"") for one in records]


async def test_a_ledger_with_more_holes_that_may_be_filled_than_fit_a_record_is_kept_and_written_when_they_are(
    caplog: pytest.LogCaptureFixture,
) -> None:
    producer = Written()
    stored = StoredLedger("im.audit", producer, FoundLedgers(ledger_with(range(1), 0), set(), ""), NOW_MS)
    await stored.save()
    random = Random(1)
    holes = range(3, 400_000, 3)
    for number in range(1, 400_000):
        if number % 3:
            stored.ledger.note_record("im.events", RecordNumber("a", 1, number), NOW_MS + random.randrange(10**9))
    judge(stored.ledger, NOW_MS)
    await stored.save()
    await stored.save()
    assert len(producer.sizes) == 1, "Kafka does not take it"
    assert [one.message.split(",")[0] for one in caplog.records] == ["the ledger is too large to be written"]
    for number in holes:
        stored.ledger.note_record("im.events", RecordNumber("a", 1, number), NOW_MS)
    await stored.save()
    assert len(producer.sizes) == 2
    assert max(producer.sizes) < MAX_CHECKPOINT_BYTES
