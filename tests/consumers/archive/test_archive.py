"""An hour of the archive, over HTTP: asked for and read."""

from __future__ import annotations

import stat
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consumers.archive.archive import open_archive
from consumers.archive.hour import BEIJING, ArchiveWindow, Hour
from consumers.archive.lines import HourReport
from tests.consumers.archive.an_hour import HOUR, LINES, NUMBERS, failure, read, sequence
from tests.consumers.archive.conftest import MakeSettings
from tests.support.im_archive import StoredFile, archive_text, c2c_line, group_line
from tests.support.im_platform import APP_ID, HISTORY_RATE, ImPlatform


async def test_an_hour_has_its_messages_and_leaves_nothing_in_the_work_folder(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    settings = archive_settings()
    found, report = await read(settings)
    assert [message.fields() for message in found] == LINES
    assert report == HourReport(files=1, messages=5000)
    assert list(settings.archive_dir.iterdir()) == []


async def test_one_to_one_messages_and_those_of_groups_are_asked_for_apart(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES[:3])
    platform.archive.put(APP_ID, "group", HOUR, [group_line(HOUR, number) for number in range(4)])
    assert sequence((await read(archive_settings()))[0]) == [0, 1, 2]
    found, _ = await read(archive_settings(), chat="group")
    assert {message.group_id for message in found} == {f"@TGS#{number}" for number in range(4)}
    assert [name for _, name, _ in platform.calls] == [f"C2C {HOUR.name}", f"Group {HOUR.name}"]


async def test_an_hour_of_several_files_is_read_to_its_end_as_often_as_one_likes(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES, files=7)
    async with open_archive(archive_settings(), APP_ID) as archive, archive.hour(HOUR, "c2c") as archived:
        for _ in range(2):
            found = [message async for batch in archived.batches() for message in batch]
            assert sequence(found) == NUMBERS
            assert archived.report == HourReport(files=7, messages=5000)
    assert len(platform.archive.downloads) == 7


async def test_what_users_wrote_can_be_read_by_no_other_user_of_the_machine(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    settings = archive_settings()
    async with open_archive(settings, APP_ID) as archive, archive.hour(HOUR, "c2c"):
        (file,) = settings.archive_dir.rglob("*.gz")
        assert stat.filemode(file.parent.stat().st_mode) == "drwx------"


async def test_two_files_that_are_the_same_are_one(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    file = StoredFile.of(archive_text(APP_ID, "c2c", HOUR, LINES))
    platform.archive.store("c2c", HOUR, file, file)
    _, report = await read(archive_settings())
    assert (report.files, report.messages) == (1, 5000)


async def test_an_empty_list_is_an_hour_without_messages(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, [])
    assert await read(archive_settings()) == ([], HourReport(files=1))


async def test_an_hour_that_is_not_over_is_not_asked_for(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    error = await failure(archive_settings(), Hour.of(datetime.now(UTC) + timedelta(minutes=1)))
    assert (error.kind, platform.calls) == ("not_made", [])
    assert "is not over" in str(error)


async def test_no_file_means_not_made_yet_until_long_after_the_hour_and_then_that_it_is_empty(
    archive_settings: MakeSettings,
) -> None:
    hour = Hour.of(datetime.now(UTC) - timedelta(hours=3))
    settings = archive_settings()
    error = await failure(settings, hour)
    assert error.kind == "not_made"
    assert "from 6 h after its end" in str(error)
    assert not settings.archive_dir.exists() or list(settings.archive_dir.iterdir()) == []
    async with (
        open_archive(archive_settings(archive_empty_after_hours=1), APP_ID) as archive,
        archive.hour(hour, "c2c") as archived,
    ):
        assert not archived.has_file
        assert [batch async for batch in archived.batches()] == []


async def test_an_hour_that_the_platform_keeps_no_more_is_never_taken_to_be_empty(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    hour = Hour.of(datetime.now(UTC) - timedelta(days=7, hours=6))
    error = await failure(archive_settings(archive_empty_after_hours=1), hour)
    assert (error.kind, platform.calls[-1][2]) == ("expired", 1004)
    platform.archive.expired.add(hour.name)
    error = await failure(archive_settings(), hour)
    assert (error.kind, platform.calls[-1][2]) == ("expired", 1005)
    assert "seven days" in str(error)


async def test_an_hour_of_long_ago_is_not_even_asked_for(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    error = await failure(archive_settings(), Hour.of(datetime.now(UTC) - timedelta(days=9)))
    assert (error.kind, platform.calls) == ("expired", [])
    assert "seven days" in str(error)


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        (1001, "refused", "does not take the request"),
        (1002, "refused", "does not take the request"),
        (50003, "refused", "an account that the console calls an administrator"),
        (70009, "refused", "see CONSUMERS_IM_APPS"),
        (1003, "failing", "asked 3 times"),
        (60011, "failing", "asked 3 times"),
        ("http:502", "failing", "asked 3 times"),
    ],
)
async def test_a_call_that_is_refused_or_fails_says_why(
    platform: ImPlatform, archive_settings: MakeSettings, code: int | str, kind: str, says: str
) -> None:
    platform.fault = lambda _: code
    error = await failure(archive_settings())
    assert error.kind == kind
    assert says in str(error)
    assert len(platform.calls) == (1 if kind == "refused" else 3)


async def test_a_call_is_made_again_after_trouble_that_passes(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES)
    faults = iter([60011, "http:503", None])
    platform.fault = lambda _: next(faults)
    assert sequence((await read(archive_settings()))[0]) == NUMBERS


async def test_who_is_no_administrator_is_told(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    error = await failure(archive_settings(im_apps=platform.credentials(identifier="somebody")))
    assert (error.kind, platform.calls[-1][2]) == ("refused", 50003)
    error = await failure(archive_settings(im_apps="{}"))
    assert "name it in CONSUMERS_IM_APPS" in str(error)


@pytest.mark.parametrize(
    "changes",
    [{"gzip_md5": "../../../etc/passwd"}, {"gzip_md5": ""}, {"file_size": -1}, {"gzip_size": "many"}, {"url": 7}],
    ids=lambda changes: next(iter(changes)),
)
async def test_an_answer_that_names_no_files_is_none(
    platform: ImPlatform, archive_settings: MakeSettings, changes: dict[str, object]
) -> None:
    platform.archive.store("c2c", HOUR, replace(StoredFile.of(b"x"), **changes))  # type: ignore[arg-type]
    error = await failure(archive_settings())
    assert error.kind == "failing"
    assert "answers with something else" in str(error)


async def test_calls_keep_their_rate(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    hours = list(ArchiveWindow(HOUR.start, HOUR.start + timedelta(hours=15)).hours())
    async with open_archive(archive_settings(archive_empty_after_hours=1, archive_calls_per_s=8), APP_ID) as archive:
        for hour in hours:
            async with archive.hour(hour, "c2c"):
                pass
    begun = [at for at, _, _ in platform.calls]
    assert len(begun) == 15
    assert begun[-1] - begun[0] > 1.6
    assert {code for _, _, code in platform.calls} == {1004}


async def test_while_others_use_up_the_rate_calls_are_made_again(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, LINES[:1])
    platform.calls.extend([(time.monotonic() + 1, "C2C of others", 0)] * HISTORY_RATE)
    found, _ = await read(archive_settings(archive_attempts=100))
    assert sequence(found) == [0]
    assert [code for _, _, code in platform.calls][HISTORY_RATE] == 60011


async def test_hours_across_midnight_of_beijing_are_those_that_the_window_has(
    platform: ImPlatform, archive_settings: MakeSettings
) -> None:
    midnight = HOUR.start.replace(hour=0)
    window = ArchiveWindow.parse(
        (midnight - timedelta(hours=2)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M"), "18:00", zone=UTC
    )
    hours = list(window.hours())
    assert [hour.start.astimezone(BEIJING).hour for hour in hours] == [22, 23, 0, 1]
    for number, hour in enumerate(hours):
        platform.archive.put(APP_ID, "c2c", hour, [c2c_line(hour, number)])
    settings = archive_settings()
    found = [(await read(settings, hour))[0] for hour in hours]
    assert [sequence(messages) for messages in found] == [[0], [1], [2], [3]]
    assert all(window.covers(message.timestamp) for messages in found for message in messages)


async def test_a_file_of_another_app_is_no_answer(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    platform.archive.put("1400000001", "c2c", HOUR, LINES)
    error = await failure(archive_settings())
    assert error.kind == "corrupt"
    assert "SdkAppId is 1400000001" in str(error)


async def test_a_hostile_line_costs_itself_and_is_told(platform: ImPlatform, archive_settings: MakeSettings) -> None:
    platform.archive.put(APP_ID, "c2c", HOUR, [*LINES[:3], b'{"From_Account":"\x1b[2J', *LINES[3:]])
    found, report = await read(archive_settings())
    assert sequence(found) == NUMBERS
    assert report.bad_lines == 1
    assert report.samples[0].startswith("line 5: it is no JSON")
    assert "\x1b" not in report.samples[0]
