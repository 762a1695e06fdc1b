"""The lines of a file: as documented, as others write them, and hostile ones."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from consumers.archive.hour import Hour
from consumers.archive.lines import (
    BATCH_BYTES,
    BATCH_MESSAGES,
    MAX_MESSAGE_BYTES,
    MAX_SAMPLES,
    FileReader,
    ForeignFileError,
    HourReport,
)
from consumers.archive.message import ArchivedMessage
from tests.support.im_archive import archive_text, c2c_line, group_line
from tests.support.im_platform import APP_ID

HOUR = Hour.parse("2026112510")
LINES = [c2c_line(HOUR, number) for number in range(20)]
HEAD = b'{"SdkAppId":1400000000,"MsgList":['


def chunked(text: bytes, size: int) -> Iterator[bytes]:
    for begin in range(0, len(text), size):
        yield text[begin : begin + size]


def read(text: bytes, *, chunk_bytes: int = 256 * 1024) -> tuple[list[ArchivedMessage], HourReport]:
    report = HourReport()
    reader = FileReader(HOUR, "c2c", APP_ID, report)
    found = [message for batch in reader.batches(chunked(text, chunk_bytes)) for message in batch]
    assert report.messages == len(found)
    return found, report


def numbers(found: list[ArchivedMessage]) -> list[int]:
    return [message.seq for message in found]


def dumped(number: int) -> bytes:
    return json.dumps(LINES[number]).encode()


FORMS = {
    "as documented": archive_text(APP_ID, "c2c", HOUR, LINES),
    "with CRLF": archive_text(APP_ID, "c2c", HOUR, LINES, end=b"\r\n"),
    "in one line": archive_text(APP_ID, "c2c", HOUR, LINES, end=b""),
    "in one line with spaces": archive_text(APP_ID, "c2c", HOUR, LINES, end=b" \t"),
    "with a byte order mark": b"\xef\xbb\xbf" + archive_text(APP_ID, "c2c", HOUR, LINES),
    "with empty lines": archive_text(APP_ID, "c2c", HOUR, LINES, end=b"\n\n \r\n"),
    "with the end in the last line": archive_text(APP_ID, "c2c", HOUR, LINES).replace(b"\n]}", b"]}\n"),
    "with a comma behind the last": archive_text(APP_ID, "c2c", HOUR, LINES).replace(b"\n]}", b",\n]}\n"),
    "with commas before": archive_text(APP_ID, "c2c", HOUR, LINES).replace(b",\n", b"\n,"),
    "with the first in the head": archive_text(APP_ID, "c2c", HOUR, LINES).replace(b"[\n", b"["),
    "with two in a line": archive_text(APP_ID, "c2c", HOUR, LINES).replace(b",\n", b",", 7),
    "with a head of several lines": archive_text(APP_ID, "c2c", HOUR, LINES).replace(b'"ChatType"', b'\n  "ChatType"'),
    "with less in the head": HEAD + b"\n" + b",\n".join(map(dumped, range(20))) + b"\n]}",
    "with more in the head": HEAD.replace(b",", b',"Info":{"a":[1,"]"]},')
    + b",\n".join(map(dumped, range(20)))
    + b"]}",
    "with its app as text": b'{"SdkAppId":"1400000000","MsgList":[\n' + b",\n".join(map(dumped, range(20))) + b"\n]}",
    "with more behind the list": archive_text(APP_ID, "c2c", HOUR, LINES)[:-1] + b',"Total":20,"x":[{}]}',
}


@pytest.mark.parametrize("chunk_bytes", [1, 7, 100, 256 * 1024])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file_has_its_messages(form: str, chunk_bytes: int) -> None:
    found, report = read(FORMS[form], chunk_bytes=chunk_bytes)
    assert [message.fields() for message in found] == LINES
    if form != "with more behind the list":
        assert (report.bad_lines, report.samples) == (0, [])


@pytest.mark.parametrize("text", [b"", HEAD + b"]}", HEAD + b"\n]}", HEAD + b"\r\n]}\r\n", HEAD[:-1] + b"null}"])
def test_an_hour_without_messages_has_none(text: bytes) -> None:
    found, report = read(text)
    assert (found, report.bad_lines, report.files) == ([], 0, 1)


HOSTILE = {
    "no JSON": b"hello",
    "no message": b'{"hello":"world"}',
    "a cut one": dumped(5)[:40],
    "a cut string": b'{"From_Account":"a\\',
    "braces": b"}}}]]]",
    "opening braces": b"{[" * 1000,
    "the end": b"]}",
    "deep": b'{"From_Account":"a","MsgBody":' + b"[" * 100_000,
    "bytes": bytes(range(14, 256)),
    "another head": b'{"SdkAppId":9,"ChatType":"Group","MsgList":[',
    "a long one": b'{"From_Account":"' + b"x" * (MAX_MESSAGE_BYTES + 300_000) + b'"}',
    "an endless one": b'{"From_Account":"' + b"x" * (5 * MAX_MESSAGE_BYTES),
    "long and shapeless": b"x" * (MAX_MESSAGE_BYTES - 1),
    "long with escapes": b'{"From_Account":"' + b"\\\\" * (MAX_MESSAGE_BYTES // 3),
    "long with quotes": b'""' * (MAX_MESSAGE_BYTES // 3),
    "an array": b"[" + dumped(3) + b"]",
}


@pytest.mark.parametrize("chunk_bytes", [4096, 256 * 1024])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_line_costs_itself_and_no_other(kind: str, chunk_bytes: int) -> None:
    lines = [dumped(number) for number in range(20)]
    lines.insert(10, HOSTILE[kind])
    found, report = read(archive_text(APP_ID, "c2c", HOUR, lines), chunk_bytes=chunk_bytes)
    assert numbers(found) == list(range(20))
    if kind not in {"the end", "braces"}:
        assert report.bad_lines == len(report.samples) == 1
        assert report.samples[0].startswith("line 12: ")
        assert report.samples[0].isprintable()
        assert len(report.samples[0]) < 1000


def test_a_message_just_as_long_as_it_may_be_is_read_wherever_chunks_end() -> None:
    fits = json.dumps({**LINES[1], "CloudCustomData": ""}).encode()
    fits = fits[:-2] + b"x" * (MAX_MESSAGE_BYTES - len(fits)) + b'"}'
    assert len(fits) == MAX_MESSAGE_BYTES
    for line, expected in ((fits, [0, 1, 2]), (fits[:-2] + b'x"}', [0, 2])):
        for chunk_bytes in (100_000, 256 * 1024):
            found, _ = read(archive_text(APP_ID, "c2c", HOUR, [dumped(0), line, dumped(2)]), chunk_bytes=chunk_bytes)
            assert numbers(found) == expected


def test_a_file_of_one_line_that_is_larger_than_a_message_may_be_is_read() -> None:
    lines = [c2c_line(HOUR, number) for number in range(20_000)]
    text = archive_text(APP_ID, "c2c", HOUR, lines, end=b"")
    assert len(text) > 3 * MAX_MESSAGE_BYTES
    found, report = read(text)
    assert numbers(found) == list(range(20_000))
    assert report.bad_lines == 0


def test_of_many_bad_lines_a_few_are_kept_and_all_counted() -> None:
    found, report = read(archive_text(APP_ID, "c2c", HOUR, [b"bad %d" % number for number in range(100)]))
    assert (found, report.bad_lines, len(report.samples)) == ([], 100, MAX_SAMPLES)


def test_a_file_that_ends_within_its_list_says_so() -> None:
    text = archive_text(APP_ID, "c2c", HOUR, LINES)
    found, report = read(text[: text.index(b'"MsgSeq": 10')])
    assert numbers(found) == list(range(10))
    assert report.bad_lines == 2
    assert "messages may be missing" in report.samples[1]


def test_a_second_file_begins_with_line_one_and_adds_to_the_report() -> None:
    report = HourReport()
    reader = FileReader(HOUR, "c2c", APP_ID, report)
    for lines in ([dumped(0), b"bad"], [b"worse"]):
        list(reader.batches([archive_text(APP_ID, "c2c", HOUR, lines)]))
    assert (report.files, report.messages, report.bad_lines) == (2, 1, 2)
    assert [sample.partition(":")[0] for sample in report.samples] == ["line 3", "file 2, line 2"]


def test_messages_whose_time_lies_outside_of_the_hour_are_given_and_counted() -> None:
    start_s = int(HOUR.start.timestamp())
    lines = [{**LINES[0], "MsgTimestamp": start_s + more} for more in (-1, 0, 3599, 3600)]
    found, report = read(archive_text(APP_ID, "c2c", HOUR, lines))
    assert len(found) == 4
    assert report.outside == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"<html>no</html>", "begins with <html>no"),
        (b"{}", "no file of messages"),
        (b"x" * 1_000_000, "no file of messages"),
        (b'{"SdkAppId":1400000001,"MsgList":[\n]}', "SdkAppId is 1400000001, and not 1400000000"),
        (b'{"SdkAppId":1400000000,"ChatType":"Group","MsgList":[\n]}', "ChatType is Group, and not C2C"),
        (b'{"SdkAppId":1400000000,"MsgTime":"2026112511","MsgList":[\n]}', "MsgTime is 2026112511"),
    ],
)
def test_a_file_of_something_else_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(ForeignFileError, match=says):
        read(text)


@pytest.mark.parametrize(
    "head",
    [
        b'{"SdkAppId":true,"MsgList":[',
        b'{"SdkAppId":"\xff","MsgList":[',
        b'{SdkAppId:1,"MsgList":[',
        b'{"SdkAppId":1400000000,"ChatTy',
        b'{"SdkAppId":1400000000,"x":' + b"[" * 3000 + b'"MsgList":[',
        b"\x00\x01\x02",
        b"[",
    ],
)
def test_a_head_that_cannot_be_read_is_a_bad_line_and_costs_no_message(head: bytes) -> None:
    lines = [dumped(number) for number in range(3)]
    found, report = read(head + b"\n" + b",\n".join(lines) + b"\n]}")
    assert numbers(found) == [0, 1, 2]
    assert report.bad_lines == 1
    assert report.samples[0].startswith("line 1: ")


def test_lines_without_a_head_are_read_and_the_missing_end_is_told() -> None:
    message = {**LINES[0], "MsgBody": [{"MsgList": []}], "X": {"MsgList": [1]}}
    found, report = read(b"\n".join([json.dumps(message).encode(), dumped(1), dumped(2)]))
    assert numbers(found) == [0, 1, 2]
    assert (report.bad_lines, "messages may be missing" in report.samples[0]) == (1, True)


@pytest.mark.parametrize("seconds", [0, 1, 1_000_000_000, 253_402_300_799, -86_401, 3600 + 86_401])
def test_a_message_of_another_day_is_a_bad_line_and_costs_no_other(seconds: int) -> None:
    start_s = int(HOUR.start.timestamp())
    time_s = start_s + seconds if abs(seconds) < 10**6 and seconds not in {0, 1} else seconds
    found, report = read(archive_text(APP_ID, "c2c", HOUR, [dumped(0), c2c_line(HOUR, 1, MsgTimestamp=time_s)]))
    assert (numbers(found), report.bad_lines) == ([0], 1)
    assert report.reasons == [
        f"line 3: its MsgTimestamp {time_s} lies more than a day off the hour that the file is of"
    ]


def test_reasons_have_nothing_of_the_line_itself() -> None:
    _, report = read(archive_text(APP_ID, "c2c", HOUR, [b'{"From_Account":"secret","MsgSeq":"secret"}', b'"secret']))
    assert "secret" in report.samples[0]
    assert not any("secret" in reason for reason in report.reasons)


def test_groups_are_read_as_groups() -> None:
    report = HourReport()
    reader = FileReader(HOUR, "group", APP_ID, report)
    text = archive_text(APP_ID, "group", HOUR, [group_line(HOUR, 8), c2c_line(HOUR, 9)])
    (batch,) = reader.batches([text])
    assert [(message.chat, message.group_id, message.random) for message in batch] == [("group", "@TGS#1", None)]
    assert report.samples[0].startswith("line 3: it is no message: it has no GroupId")


def test_batches_are_bounded_by_number_and_by_bytes() -> None:
    reader = FileReader(HOUR, "c2c", APP_ID, HourReport())
    many = archive_text(APP_ID, "c2c", HOUR, [c2c_line(HOUR, number) for number in range(2500)])
    assert [len(batch) for batch in reader.batches([many])] == [BATCH_MESSAGES, BATCH_MESSAGES, 500]
    large = [c2c_line(HOUR, number, CloudCustomData="x" * 300_000) for number in range(10)]
    sizes = [
        sum(len(message.raw) for message in batch)
        for batch in reader.batches([archive_text(APP_ID, "c2c", HOUR, large)])
    ]
    assert len(sizes) == 3
    assert max(sizes) < BATCH_BYTES + MAX_MESSAGE_BYTES
