"""An hour of the archive beside the topic: what is there, what is missing, what is published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumers.archive.errors import ArchiveError
from consumers.archive.hour import ArchiveWindow
from consumers.archive.message import ArchivedChat
from consumers.backfill.hour_count import HourCount
from consumers.backfill.identity import CallbackFields
from consumers.backfill.known_messages import FoundIn
from consumers.errors import RetryLater
from tests.consumers.backfill.stand_ins import (
    HOUR,
    START_S,
    Archive,
    Index,
    PublishedTopic,
    c2c_line,
    callback_event,
    compare,
    comparison,
    group_line,
    id_of,
    index_in,
    value_of,
)
from tests.support.callbacks import APP_ID


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with index_in(tmp_path) as found:
        yield found


def numbers(count: HourCount) -> dict[str, int]:
    names = ("archived", "there", "dead_letters", "repeated", "missing", "published")
    return {name: getattr(count, name) for name in names if getattr(count, name)}


def ids(topic: PublishedTopic) -> list[str]:
    return [event["id"] for event in topic.events]


async def test_what_is_missing_is_published_in_order_under_the_ids_of_the_callbacks(index: Index) -> None:
    lines = [c2c_line(number) for number in range(10)]
    events = [callback_event(line) for line in lines]
    index.add([events[2], events[5]])
    topic = PublishedTopic()
    count = await compare(index, Archive(lines[:4], lines[4:]), topic=topic)
    assert numbers(count) == {"archived": 10, "there": 2, "missing": 8, "published": 8}
    assert ids(topic) == [id_of(event) for number, event in enumerate(events) if number not in {2, 5}]
    assert all(event["backfilled"] for event in topic.events)
    assert count.is_settled


async def test_a_second_run_publishes_nothing(index: Index) -> None:
    lines = [*map(c2c_line, range(5))]
    topic = PublishedTopic()
    await compare(index, Archive(lines), topic=topic)
    index.add(value_of(record) for record in topic.records)
    again = await compare(index, Archive(lines), topic=topic)
    assert numbers(again) == {"archived": 5, "there": 5}
    assert len(topic.records) == 5


@pytest.mark.parametrize("chat", ["c2c", "group"])
async def test_a_dry_run_counts_the_same_and_publishes_nothing(index: Index, chat: ArchivedChat) -> None:
    line = c2c_line if chat == "c2c" else group_line
    lines = [line(number) for number in (1, 2, 3, 3)]
    index.add([callback_event(lines[0])])
    count = await compare(index, Archive(lines, chat=chat), chat)
    assert numbers(count) == {"archived": 4, "there": 1, "missing": 2, "repeated": 1}
    assert not count.is_settled


@pytest.mark.parametrize(
    "changes",
    [
        {"SendMsgResult": None},
        {"MsgKey": None},
        {"MsgKey": None, "SendMsgResult": None},
        {"MsgSeq": None, "MsgRandom": None, "MsgTime": None},
        {"MsgTime": "1764324001", "MsgRandom": 7919.0},
    ],
    ids=str,
)
async def test_a_callback_without_a_part_of_its_id_is_there_all_the_same(index: Index, changes: dict[str, Any]) -> None:
    line = c2c_line(1)
    assert line["MsgTimestamp"] == 1764324001
    index.add([callback_event(line, **changes)])
    assert numbers(await compare(index, Archive([line]))) == {"archived": 1, "there": 1}


@pytest.mark.parametrize(
    "changes",
    [{"From_Account": "bob"}, {"To_Account": "eve"}, {"MsgKey": "1_1_1", "MsgSeq": 1, "MsgRandom": 1}],
    ids=str,
)
async def test_another_message_is_not_it(index: Index, changes: dict[str, Any]) -> None:
    index.add([callback_event(c2c_line(1), **changes)])
    assert numbers(await compare(index, Archive([c2c_line(1)]))) == {"archived": 1, "missing": 1}


@pytest.mark.parametrize("changes", [{}, {"MsgSeq": None, "MsgRandom": None, "MsgTime": None}], ids=str)
async def test_a_one_to_one_line_without_random_is_known_by_what_it_has(index: Index, changes: dict[str, Any]) -> None:
    lines = [c2c_line(number) for number in (1, 2)]
    index.add([callback_event(lines[0], **changes)])
    for line in lines:
        del line["MsgRandom"]
    topic = PublishedTopic()
    count = await compare(index, Archive(lines), topic=topic)
    assert numbers(count) == {"archived": 2, "there": 1, "missing": 1, "published": 1}
    assert [event["weakidentity"] for event in topic.events] == [True]
    index.add(value_of(record) for record in topic.records)
    assert (await compare(index, Archive(lines), topic=topic)).there == 2


async def test_a_delivery_that_failed_does_not_stand_for_the_message_that_was_sent_at_last(index: Index) -> None:
    line = c2c_line(1)
    index.add([callback_event(line, SendMsgResult=20006, UnreadMsgNum=-1)])
    topic = PublishedTopic()
    await compare(index, Archive([line]), topic=topic)
    assert ids(topic) == [id_of(callback_event(line))]


async def test_the_id_is_of_the_form_in_which_the_apps_callbacks_come(index: Index) -> None:
    index.form_of_app = CallbackFields(has_key=False, has_result=False)
    topic = PublishedTopic()
    await compare(index, Archive([c2c_line(1)]), topic=topic)
    assert ids(topic) == [id_of(callback_event(c2c_line(1), MsgKey=None, SendMsgResult=None))]


async def test_a_group_message_that_arrived_with_random_is_not_published_again(index: Index) -> None:
    lines = [group_line(number) for number in range(3)]
    index.add([callback_event(lines[0]), callback_event(lines[1], TopicId="topic")])
    topic = PublishedTopic()
    count = await compare(index, Archive(lines, chat="group"), "group", topic)
    assert numbers(count) == {"archived": 3, "there": 2, "missing": 1, "published": 1}
    assert count.weak == 1
    (event,) = topic.events
    assert (event["weakidentity"], event["data"]["msg_seq"]) == (True, 2)


async def test_a_group_message_whose_line_has_random_has_the_callbacks_id(index: Index) -> None:
    lines = [group_line(1, Random=31), group_line(2, MsgRandom=62)]
    topic = PublishedTopic()
    count = await compare(index, Archive(lines, chat="group"), "group", topic)
    assert count.weak == 0
    assert ids(topic) == [id_of(callback_event(group_line(number))) for number in (1, 2)]


async def test_a_file_that_tells_random_later_finds_what_was_published_without(index: Index) -> None:
    topic = PublishedTopic()
    await compare(index, Archive([group_line(1)], chat="group"), "group", topic)
    index.add(value_of(record) for record in topic.records)
    again = await compare(index, Archive([group_line(1, MsgRandom=31)], chat="group"), "group", topic)
    assert numbers(again) == {"archived": 1, "there": 1}


async def test_messages_of_one_second_that_differ_in_random_alone_are_two(index: Index) -> None:
    lines = [group_line(1, MsgRandom=1), group_line(1, MsgRandom=2)]
    index.add([callback_event(group_line(1), Random=1)])
    count = await compare(index, Archive(lines, chat="group"), "group")
    assert numbers(count) == {"archived": 2, "there": 1, "missing": 1}


async def test_two_new_ones_of_one_second_that_differ_in_random_alone_are_both_published(index: Index) -> None:
    lines = [group_line(1, MsgRandom=1), group_line(1, MsgRandom=2)]
    topic = PublishedTopic()
    count = await compare(index, Archive(lines, chat="group"), "group", topic)
    assert numbers(count) == {"archived": 2, "missing": 2, "published": 2}


async def test_a_message_whose_callback_is_a_dead_letter_is_there(index: Index) -> None:
    index.add([callback_event(c2c_line(1))], FoundIn.LETTER)
    assert numbers(await compare(index, Archive([c2c_line(1)]))) == {"archived": 1, "dead_letters": 1}


async def test_what_arrives_late_is_not_published(index: Index) -> None:
    index.late = [callback_event(c2c_line(1))]
    topic = PublishedTopic()
    count = await compare(index, Archive([c2c_line(1), c2c_line(2)]), topic=topic)
    assert numbers(count) == {"archived": 2, "there": 1, "missing": 1, "published": 1}


async def test_a_message_of_another_time_than_the_files_is_looked_for_wherever_it_is(index: Index) -> None:
    count = await compare(index, Archive([c2c_line(1, MsgTimestamp=0)]))
    assert index.is_wide
    assert count.missing == 1


async def test_messages_outside_the_span_that_was_asked_for_are_left_alone(index: Index) -> None:
    lines = [c2c_line(number, MsgTimestamp=START_S + number * 600) for number in range(6)]
    start = HOUR.start.replace(minute=20)
    count = await compare(index, Archive(lines), window=ArchiveWindow(start, HOUR.end))
    assert (count.archived, count.outside, count.missing) == (4, 2, 4)


async def test_an_hour_that_is_asked_for_as_a_whole_is_taken_whole(index: Index) -> None:
    lines = [c2c_line(1, MsgTimestamp=START_S - 5), c2c_line(2)]
    count = await compare(index, Archive(lines), window=ArchiveWindow(HOUR.start, HOUR.end))
    assert (count.archived, count.outside) == (2, 0)


async def test_what_the_topic_may_have_deleted_is_not_published_unless_that_is_asked_for(index: Index) -> None:
    index.kept_since_s = START_S + 1
    topic = PublishedTopic()
    count = await compare(index, Archive([c2c_line(1)]), topic=topic)
    assert (count.missing, count.published, topic.records) == (1, 0, [])
    assert "--despite-retention" in count.problem
    index.known.__exit__()
    index.known.__enter__()
    count = await compare(index, Archive([c2c_line(1)]), topic=topic, despite_retention=True)
    assert (count.published, count.problem) == (1, "")


async def test_one_message_that_the_topic_does_not_take_costs_no_other(index: Index) -> None:
    lines = [c2c_line(1), c2c_line(2, MsgBody=["x" * 5000]), c2c_line(3)]
    topic = PublishedTopic(max_bytes=4000)
    count = await compare(index, Archive(lines), topic=topic)
    assert (count.missing, count.published, count.too_large) == (3, 2, 1)
    assert "max.message.bytes" in count.problem


async def test_kafka_that_is_away_is_waited_for(index: Index) -> None:
    topic = PublishedTopic()
    topic.errors = [RetryLater("away"), ConnectionError()]
    count = await compare(index, Archive([c2c_line(1)]), topic=topic)
    assert count.published == 1


@pytest.mark.parametrize("kind", ["not_made", "expired", "refused", "failing", "corrupt"])
async def test_an_hour_that_cannot_be_had_is_told_and_not_taken_to_be_complete(index: Index, kind: Any) -> None:
    archive = Archive()
    archive.error = ArchiveError(kind, "why it is so")
    count = await compare(index, archive)
    assert (count.state, count.problem, count.is_settled) == (kind, "why it is so", False)


async def test_an_hour_without_a_file_has_no_messages(index: Index) -> None:
    archive = Archive()
    archive.has_file = False
    count = await compare(index, archive)
    assert (count.state, count.is_settled, numbers(count)) == ("no_file", True, {})


async def test_lines_that_are_no_message_are_counted_and_shown(index: Index) -> None:
    archive = Archive([c2c_line(1)])
    archive.report.bad_lines, archive.report.samples = 2, ["line 7: no JSON"]
    count = await compare(index, archive)
    assert (count.bad_lines, count.samples) == (2, ["line 7: no JSON"])


async def test_a_message_of_before_what_the_topic_has_kept_costs_no_other(index: Index) -> None:
    index.kept_since_s = START_S - 100
    topic = PublishedTopic()
    lines = [c2c_line(1, MsgTimestamp=START_S - 200), c2c_line(2)]
    count = await compare(index, Archive(lines), topic=topic)
    assert (count.missing, count.published, count.withheld) == (2, 1, 1)
    assert "--despite-retention" in count.problem


async def test_what_another_run_has_just_published_is_found_at_the_beginning_of_an_hour(index: Index) -> None:
    topic = PublishedTopic()
    comparing = comparison(index, topic)
    await comparing.compare(Archive([c2c_line(1)]).itself, APP_ID, "c2c", HOUR)
    index.late = [callback_event(c2c_line(2))]
    count = await comparing.compare(Archive([c2c_line(2)]).itself, APP_ID, "c2c", HOUR)
    assert numbers(count) == {"archived": 1, "there": 1}
    assert len(topic.records) == 1


@pytest.mark.parametrize("drop_fields", [("MsgKey",), ("SendMsgResult",), ("msgkey", "sendmsgresult")])
async def test_what_the_ingress_drops_is_no_part_of_an_id_either(index: Index, drop_fields: tuple[str, ...]) -> None:
    topic = PublishedTopic()
    comparing = comparison(index, topic, drop_fields=drop_fields)
    lines = {"c2c": c2c_line(1), "group": group_line(1, Random=31)}
    await comparing.compare(Archive([lines["c2c"]]).itself, APP_ID, "c2c", HOUR)
    await comparing.compare(Archive([lines["group"]], chat="group").itself, APP_ID, "group", HOUR)
    absent = {name: None for name in ("MsgKey", "SendMsgResult") if name.lower() in map(str.lower, drop_fields)}
    assert ids(topic) == [id_of(callback_event(lines["c2c"], **absent)), id_of(callback_event(group_line(1)))]


async def test_what_a_failed_attempt_has_written_is_not_written_again(index: Index) -> None:
    topic = PublishedTopic()
    topic.errors = [ConnectionError(), RetryLater("half of it was confirmed")]
    topic.written_before_error = [3, 2]
    lines = [c2c_line(number) for number in range(10)]
    index.look_at = topic
    count = await compare(index, Archive(lines), topic=topic)
    assert (count.missing, count.published) == (10, 10)
    assert ids(topic) == [id_of(callback_event(line)) for line in lines]


async def test_of_some_of_which_one_is_too_large_what_is_written_already_is_not_written_again(index: Index) -> None:
    topic = PublishedTopic(max_bytes=4000)
    topic.takes_part = True
    index.look_at = topic
    lines = [c2c_line(number, MsgBody=["x" * 5000] if number == 4 else []) for number in range(8)]
    count = await compare(index, Archive(lines), topic=topic)
    assert (count.missing, count.published, count.too_large) == (8, 7, 1)
    assert sorted(ids(topic)) == sorted(id_of(callback_event(line)) for line in lines if line["MsgSeq"] != 4)
