"""What happens to each event of a batch, with a worker that fails in every way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import orjson
import pytest
import redis.exceptions
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from consumers.errors import MAX_TRACEBACK_BYTES, PoisonError, RetryLater, WorkerRefusedError, is_passing
from consumers.runtime.dead_letter_breaker import DeadLetterBreaker
from consumers.runtime.delivery import StoppedError
from consumers.worker import Message
from tests.consumers.runtime.deliveries import PARTITION, FakeProducer, Faulty, made, record, records
from tests.support.badge_model import badge_event


async def test_a_batch_is_handled_once_and_in_order(producer: FakeProducer) -> None:
    worker = Faulty()
    await made(worker, producer).deliver(PARTITION, records("abcdef"), asyncio.Event())
    assert worker.batches == [list("abcdef")]


async def test_the_one_event_that_fails_is_found_and_given_up_and_all_others_are_handled(
    producer: FakeProducer,
) -> None:
    worker = Faulty(lambda message: ValueError("bad\nletter") if message.event.id == "f" else None)
    await made(worker, producer).deliver(PARTITION, records("abcdefgh"), asyncio.Event())
    assert worker.handled == list("abcdegh")
    assert worker.batches.count(["f"]) == 3
    [letter] = producer.records
    assert letter.key == b"key"
    assert orjson.loads(letter.value or b"")["id"] == "f"
    headers = dict(letter.headers)
    assert headers.pop("traceback-hash").isalnum()
    assert headers.pop("traceback").decode().endswith("raise error\nValueError: bad\nletter\n")
    assert headers == {
        "traceparent": b"00-1",
        "reason": b"handler_failed",
        "detail": b"ValueError: bad letter",
        "group": b"testers",
        "attempts": b"3",
        "original-topic": b"im.events",
        "original-partition": b"3",
        "original-offset": b"5",
        "original-timestamp": b"1700000000005",
    }


async def test_an_event_that_fails_twice_and_then_succeeds_is_no_dead_letter(producer: FakeProducer) -> None:
    errors = [ValueError(), ValueError()]
    worker = Faulty(lambda message: errors.pop() if message.event.id == "b" and errors else None)
    await made(worker, producer).deliver(PARTITION, records("b"), asyncio.Event())
    assert worker.handled == ["b"]
    assert not producer.records


@pytest.mark.parametrize(
    "error",
    [
        RetryLater("the mail server is full"),
        ConnectionResetError(),
        TimeoutError(),
        KafkaConnectionError(),
        redis.exceptions.ConnectionError(),
        redis.exceptions.BusyLoadingError(),
        redis.exceptions.ReadOnlyError(),
        redis.exceptions.ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_passes_by_itself_is_waited_for_and_never_a_dead_letter(
    producer: FakeProducer, error: Exception
) -> None:
    failures = 50

    def fail(_: Message) -> Exception | None:
        nonlocal failures
        failures -= 1
        return error if failures > 0 else None

    worker = Faulty(fail)
    await made(worker, producer).deliver(PARTITION, records("abc"), asyncio.Event())
    assert worker.batches == [list("abc")] * 50
    assert worker.handled == list("abc")
    assert not producer.records


@pytest.mark.parametrize(
    "error",
    [ValueError(), KeyError("x"), FileNotFoundError(), redis.exceptions.ResponseError("WRONGTYPE Operation against")],
)
def test_what_waiting_does_not_help_is_the_fault_of_the_event(error: Exception) -> None:
    assert not is_passing(error)


async def test_a_batch_that_hangs_is_tried_again(producer: FakeProducer) -> None:
    class HangsOnce(Faulty):
        async def handle(self, batch: Sequence[Message]) -> None:
            self.batches.append([])
            if len(self.batches) == 1:
                await asyncio.Event().wait()
            await super().handle(batch)

    worker = HangsOnce()
    await made(worker, producer, timeout_s=0.05).deliver(PARTITION, records("ab"), asyncio.Event())
    assert worker.handled == ["a", "b"]


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"{}", b"[1]", b'{"type":"im.c2c.message.recalled"}'])
async def test_a_record_that_is_no_event_is_given_up_at_once(producer: FakeProducer, value: bytes | None) -> None:
    worker = Faulty()
    good = records("ab")
    await made(worker, producer).deliver(PARTITION, [good[0], record(9, value), good[1]], asyncio.Event())
    assert worker.handled == ["a", "b"]
    [letter] = producer.records
    assert letter.value == (value or b"")
    assert dict(letter.headers)["reason"] == b"not_an_event"
    assert dict(letter.headers)["attempts"] == b"1"


async def test_events_of_types_that_are_not_wanted_are_skipped_unparsed(producer: FakeProducer) -> None:
    class Chooses(Faulty):
        event_types = frozenset({"im.c2c.message.recalled"})

    worker = Chooses()
    other = record(7, b'{"type":"im.of.no.concern","and":"nothing else"}')
    await made(worker, producer).deliver(PARTITION, [*records("a"), other], asyncio.Event())
    assert worker.handled == ["a"]
    assert not producer.records


async def test_a_batch_is_not_done_before_its_dead_letter_is_confirmed(producer: FakeProducer) -> None:
    producer.failures = [RetryLater("Kafka is away") for _ in range(20)]
    worker = Faulty(lambda _: ValueError())
    await made(worker, producer).deliver(PARTITION, records("a"), asyncio.Event())
    assert len(producer.records) == 1


async def test_a_partition_that_is_given_back_stops_waiting(producer: FakeProducer) -> None:
    stopping = asyncio.Event()

    def fail(_: Message) -> Exception:
        stopping.set()
        return RetryLater("away")

    with pytest.raises(StoppedError):
        await made(Faulty(fail), producer, timeout_s=60).deliver(PARTITION, records("a"), stopping)
    assert not producer.records


async def test_a_poison_event_in_a_batch_of_500_dead_letters_exactly_that_one(producer: FakeProducer) -> None:
    worker = Faulty(lambda message: ValueError("no") if message.event.id == "e321" else None)
    batch = [record(number, orjson.dumps(badge_event(f"e{number}", "ann", 1))) for number in range(500)]
    await made(worker, producer).deliver(PARTITION, batch, asyncio.Event())
    assert worker.handled == [f"e{number}" for number in range(500) if number != 321]
    [letter] = producer.records
    assert dict(letter.headers)["original-offset"] == b"321"
    assert len(worker.batches) < 25, "found by halving"


async def test_a_worker_that_knows_which_event_is_poison_sees_the_others_once(producer: FakeProducer) -> None:
    class Knows(Faulty):
        async def handle(self, batch: Sequence[Message]) -> None:
            for message in batch:
                if message.event.id in "be":
                    raise PoisonError(message, "not this one")
                self.handled.append(message.event.id)

    worker = Knows()
    await made(worker, producer).deliver(PARTITION, records("abcdef"), asyncio.Event())
    assert worker.handled == list("acdf")
    assert [orjson.loads(letter.value or b"")["id"] for letter in producer.records] == ["b", "e"]
    assert {dict(letter.headers)["detail"] for letter in producer.records} == {b"PoisonError: not this one"}


def keyed(number: int) -> ConsumerRecord[Any, Any]:
    return record(number, orjson.dumps(badge_event(f"e{number}", "ann", 1)), key=b"key-%d" % number)


async def test_a_worker_that_fails_on_every_event_is_stopped_until_it_is_repaired(producer: FakeProducer) -> None:
    broken = True
    tries = 0

    def fail(_: Message) -> Exception | None:
        nonlocal broken, tries
        tries += 1
        if len(producer.records) == 5 and tries > 500:
            broken = False
        return ValueError("a bug of the worker") if broken else None

    changes: list[bool] = []
    breaker = DeadLetterBreaker(limit=5, window_s=60, on_change=changes.append)
    worker = Faulty(fail)
    await made(worker, producer, breaker=breaker).deliver(PARTITION, [keyed(n) for n in range(40)], asyncio.Event())
    assert [dict(letter.headers)["original-offset"] for letter in producer.records] == [b"0", b"1", b"2", b"3", b"4"]
    assert worker.handled == [f"e{number}" for number in range(5, 40)]
    assert changes == [False, True, False]


@pytest.mark.parametrize(
    ("keys", "good"),
    [([1] * 30, []), (list(range(30)), [4, 8, 12, 16, 20, 24, 28])],
    ids=["of one key", "some handled"],
)
async def test_bad_events_are_not_taken_for_a_bug_of_the_worker(
    producer: FakeProducer, keys: list[int], good: list[int]
) -> None:
    worker = Faulty(lambda message: None if int(message.event.id[1:]) in good else ValueError("bad"))
    batch = [
        record(number, orjson.dumps(badge_event(f"e{number}", "ann", 1)), key=b"key-%d" % key)
        for number, key in enumerate(keys)
    ]
    breaker = DeadLetterBreaker(limit=5, window_s=60, on_change=lambda _: None)
    await made(worker, producer, breaker=breaker).deliver(PARTITION, batch, asyncio.Event())
    assert len(producer.records) == 30 - len(good)


async def test_a_worker_that_reads_no_record_is_stopped_until_it_is_repaired(producer: FakeProducer) -> None:
    class Reader(Faulty):
        def read(self, record: ConsumerRecord[Any, Any]) -> Message | None:
            raise ValueError("a bug of the reader")

    def repair(is_open: bool) -> None:
        changes.append(is_open)
        if is_open:
            asyncio.get_running_loop().call_later(0.01, breaker.succeeded)

    changes: list[bool] = []
    breaker = DeadLetterBreaker(limit=5, window_s=60, on_change=repair)
    delivery = made(Reader(), producer, breaker=breaker)
    await delivery.deliver(PARTITION, [keyed(n) for n in range(8)], asyncio.Event())
    assert changes == [False, True, False]
    assert len(producer.records) == 8
    assert {dict(letter.headers)["reason"] for letter in producer.records} == {b"not_an_event"}


async def test_records_that_are_no_events_among_good_ones_do_not_open_the_breaker(producer: FakeProducer) -> None:
    worker = Faulty()
    batch = [keyed(n) if n % 4 == 3 else record(n, b"no JSON", key=b"key-%d" % n) for n in range(40)]
    breaker = DeadLetterBreaker(limit=5, window_s=60, on_change=lambda _: None)
    await made(worker, producer, breaker=breaker).deliver(PARTITION, batch, asyncio.Event())
    assert len(producer.records) == 30
    assert worker.handled == [f"e{number}" for number in range(3, 40, 4)]


async def test_a_dead_letter_that_is_too_large_goes_without_its_value_and_its_large_headers(
    producer: FakeProducer,
) -> None:
    producer.failures = [MessageSizeTooLargeError(), MessageSizeTooLargeError()]
    large = keyed(1)
    large.headers = (("raw-body", b"x" * 5000), ("traceparent", b"00-1"))
    await made(Faulty(lambda _: ValueError("bad")), producer).deliver(PARTITION, [large], asyncio.Event())
    [letter] = producer.records
    assert letter.value == b""
    headers = dict(letter.headers)
    assert "raw-body" not in headers
    assert (headers["traceparent"], headers["value-omitted"]) == (b"00-1", b"true")


async def test_a_dead_letter_that_is_too_large_goes_first_of_all_without_the_traceback(producer: FakeProducer) -> None:
    producer.failures = [MessageSizeTooLargeError()]
    await made(Faulty(lambda _: ValueError("bad")), producer).deliver(PARTITION, [keyed(1)], asyncio.Event())
    [letter] = producer.records
    assert orjson.loads(letter.value or b"")["id"] == "e1"
    assert "traceback" not in dict(letter.headers)


async def test_the_traceback_of_each_fault_is_logged_once_and_kept_in_every_letter(
    producer: FakeProducer, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Faulty(lambda message: KeyError("x") if int(message.event.id[1:]) % 2 else ValueError("y" * 20_000))
    await made(worker, producer).deliver(PARTITION, [keyed(number) for number in range(8)], asyncio.Event())
    tracebacks = [dict(letter.headers)["traceback"] for letter in producer.records]
    assert len(tracebacks) == 8
    assert all(b"deliveries.py" in one or one.endswith(b"yyy\n") for one in tracebacks)
    assert max(map(len, tracebacks)) == MAX_TRACEBACK_BYTES
    logged = [line.exc_info[0] for line in caplog.records if line.exc_info]
    assert logged == [ValueError, KeyError]


async def test_an_error_that_says_all_by_itself_has_no_traceback(
    producer: FakeProducer, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Faulty(lambda message: PoisonError(message, "refused"))
    await made(worker, producer).deliver(PARTITION, [record(0, b"no event"), keyed(1)], asyncio.Event())
    assert ["traceback" in dict(letter.headers) for letter in producer.records] == [False, False]
    assert not [line for line in caplog.records if line.exc_info]


async def test_passwords_in_addresses_are_kept_out_of_dead_letters(producer: FakeProducer) -> None:
    worker = Faulty(lambda _: ValueError("cannot reach redis://me:hidden@redis:6379"))
    await made(worker, producer).deliver(PARTITION, [keyed(1)], asyncio.Event())
    [letter] = producer.records
    assert not [value for _, value in letter.headers if b"hidden" in value]
    assert dict(letter.headers)["detail"].endswith(b"redis://me:**********@redis:6379")


async def test_a_worker_that_finds_itself_set_up_wrongly_ends_and_no_event_is_to_blame(producer: FakeProducer) -> None:
    worker = Faulty(lambda _: WorkerRefusedError("PUSH_URL must begin with https://"))
    with pytest.raises(WorkerRefusedError):
        await made(worker, producer).deliver(PARTITION, records("abc"), asyncio.Event())
    assert worker.batches == [list("abc")]
    assert not producer.records


async def test_what_a_worker_waits_for_by_a_fault_of_its_own_is_told_with_its_place(
    producer: FakeProducer, caplog: pytest.LogCaptureFixture
) -> None:
    errors = [ConnectionResetError("by peer")]
    worker = Faulty(lambda _: errors.pop() if errors else None)
    await made(worker, producer).deliver(PARTITION, records("a"), asyncio.Event())
    assert re.search(r"ConnectionResetError: by peer \(at \S*deliveries\.py:\d+\)", caplog.text)


async def test_a_worker_that_takes_too_long_is_told_as_that(
    producer: FakeProducer, caplog: pytest.LogCaptureFixture
) -> None:
    class Hangs(Faulty):
        async def handle(self, batch: Sequence[Message]) -> None:
            if not self.batches:
                self.batches.append([])
                await asyncio.Event().wait()

    await made(Hangs(), producer, timeout_s=0.01).deliver(PARTITION, records("a"), asyncio.Event())
    assert "waiting, nothing is lost: the worker was not done within 0.01 s (CONSUMERS_HANDLE_TIMEOUT_S)" in caplog.text
