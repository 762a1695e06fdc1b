"""What is kept over restarts: of a run that was interrupted, and of a watch."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from consumers.archive.errors import ArchiveErrorKind
from consumers.backfill import run_state
from consumers.backfill.hour_count import HourCount
from consumers.backfill.run_state import drop_state, load_state, save_state
from consumers.backfill.watch_state import WatchedChat, load_watched, save_watched
from tests.consumers.backfill.stand_ins import HOUR
from tests.support.callbacks import APP_ID


def count(**numbers: int) -> HourCount:
    found = HourCount.of(APP_ID, "c2c", HOUR)
    for name, number in numbers.items():
        setattr(found, name, number)
    return found


def test_the_hours_of_an_interrupted_run_are_those_of_its_arguments_alone(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    assert load_state(folder, "a run") == []
    save_state(folder, "a run", [count(archived=5, there=5)])
    assert load_state(folder, "a run") == [count(archived=5, there=5)]
    assert load_state(folder, "another run") == []
    drop_state(folder)
    assert load_state(folder, "a run") == []


def test_what_was_found_long_ago_is_looked_up_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(tmp_path, "a run", [count()])
    monkeypatch.setattr(run_state, "KEPT_FOR_S", 0)
    assert load_state(tmp_path, "a run") == []


NO_HOUR = b'[{"app":"1","chat":"c2c","next":"2026112599"}]'
NO_PENDING_HOUR = b'[{"app":"1","chat":"c2c","next":"2026112510","pending":["2026112509","x"]}]'


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"\xff", NO_HOUR, NO_PENDING_HOUR],
    ids=["empty", "cut off", "foreign", "no text", "no hour", "no pending hour"],
)
def test_a_damaged_file_is_as_none_and_a_watch_says_so(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert load_watched(tmp_path) == []
    assert caplog.text == "", "there was none"
    (tmp_path / "backfill.json").write_bytes(content)
    (tmp_path / "watch.json").write_bytes(content)
    assert load_state(tmp_path, "a run") == []
    assert load_watched(tmp_path) == []
    assert "Compare the hours before it" in caplog.text


def test_hours_are_due_when_they_are_over_and_until_they_are_settled() -> None:
    watched = WatchedChat(APP_ID, "c2c", HOUR.name)
    following = HOUR.next()
    assert watched.due(HOUR.end - timedelta(seconds=1)) == []
    assert watched.due(following.end) == [HOUR, following]
    watched.note(count(), is_over=False)
    assert watched.due(HOUR.end) == [HOUR], "its file is not made yet"
    watched.note(HourCount.of(APP_ID, "c2c", following), is_over=True)
    assert watched.due(following.end) == [HOUR], "later hours do not wait for it"
    assert watched.complete_until == HOUR
    watched.note(count(archived=3, missing=3, published=1), is_over=False)
    assert watched.missing == {HOUR.name: 2}
    watched.note(count(archived=3, there=3), is_over=True)
    assert (watched.due(following.end), watched.missing, watched.complete_until) == ([], {}, following.next())


@pytest.mark.parametrize("state", ["failing", "corrupt", "refused", "not_made"])
def test_what_an_hour_lacked_counts_on_while_it_cannot_be_compared_again(state: ArchiveErrorKind) -> None:
    watched = WatchedChat(APP_ID, "c2c", HOUR.name)
    watched.note(count(archived=5, there=2, missing=3), is_over=False)
    again = count(archived=1, there=1)
    again.state = state
    watched.note(again, is_over=False)
    assert watched.missing == {HOUR.name: 3}
    watched.note(count(archived=5, there=4, missing=1), is_over=False)
    assert watched.missing == {HOUR.name: 1}


def test_an_hour_that_expired_unsettled_is_told_for_a_day(tmp_path: Path) -> None:
    watched = WatchedChat(APP_ID, "c2c", HOUR.name)
    found = count()
    found.state = "expired"
    watched.note(found, is_over=True)
    save_watched(tmp_path, [watched])
    (kept,) = load_watched(tmp_path)
    now_s = kept.expired[HOUR.name]
    assert (kept.expired_hours(now_s), kept.expired_hours(now_s + 86_399)) == ([HOUR.name], [HOUR.name])
    assert kept.expired_hours(now_s + 86_400) == []


def test_a_watch_goes_on_where_it_was(tmp_path: Path) -> None:
    watched = WatchedChat(APP_ID, "group", HOUR.next().name, [HOUR.name], {HOUR.name: 2})
    save_watched(tmp_path, [watched])
    assert load_watched(tmp_path) == [watched]
