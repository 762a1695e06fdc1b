"""What each kind of event does to a badge, through the real script in a real Redis."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pytest

from consumers.badges.badge_event import collect, read_badge_event
from consumers.badges.store import Badge, BadgeStore, Owner
from tests.support.badge_model import ALL_READ, APP, NOON_MS, READ, RECALLED, SENT, badge_event, rfc3339
from tests.support.badges import apply_events

SECOND_MS = 1000
MINUTE_MS = 60 * SECOND_MS

_numbers = itertools.count(1)

Apply = Callable[..., Coroutine[Any, Any, Badge | None]]


@pytest.fixture
def account() -> str:
    return f"someone-{next(_numbers)}"


@pytest.fixture
def apply(store: BadgeStore, account: str) -> Apply:
    """Handle events, one batch each, and return the badge of the account."""

    async def apply(*events: dict[str, Any]) -> Badge | None:
        for event in events:
            await apply_events(store, event)
        found = await store.find(account, APP)
        return found[0] if found else None

    return apply


@pytest.mark.parametrize("kind", [RECALLED, SENT, READ])
async def test_a_count_becomes_the_badge_of_its_owner(apply: Apply, account: str, kind: str) -> None:
    badge = await apply(badge_event("a", account, 7, time=NOON_MS + 123, kind=kind))
    assert badge == Badge(app_id=APP, account=account, unread=7, time=rfc3339(NOON_MS + 123), event_id="a", stale=False)


@pytest.mark.parametrize("ids", ["ab", "ba"])
async def test_of_two_counts_at_one_time_the_greater_id_wins_in_either_order(
    apply: Apply, account: str, ids: str
) -> None:
    badge = await apply(*(badge_event(name, account, ord(name), time=NOON_MS - 1) for name in ids))
    assert badge is not None
    assert (badge.unread, badge.event_id) == (ord("b"), "b")


async def test_an_older_count_that_comes_late_changes_nothing(apply: Apply, account: str) -> None:
    badge = await apply(
        badge_event("new", account, 3, time=NOON_MS - 1), badge_event("old", account, 9, time=NOON_MS - 2)
    )
    assert badge is not None
    assert badge.unread == 3


async def test_a_negative_count_changes_nothing_at_all(apply: Apply, account: str) -> None:
    assert await apply(badge_event("a", account, -1, time=NOON_MS - 1)) is None
    before = await apply(badge_event("b", account, 4, time=NOON_MS - 2))
    assert (
        await apply(badge_event("c", account, -1, time=NOON_MS - 1, kind=SENT), badge_event("d", account, -1)) == before
    )


@pytest.mark.parametrize("kind", [RECALLED, SENT, READ, ALL_READ])
async def test_an_absent_count_marks_the_badge_stale_until_a_newer_count_comes(
    apply: Apply, account: str, kind: str
) -> None:
    badge = await apply(
        badge_event("a", account, 4, time=NOON_MS - 9), badge_event("b", account, time=NOON_MS - 5, kind=kind)
    )
    assert badge is not None
    assert (badge.unread, badge.stale) == (4, True)
    badge = await apply(badge_event("c", account, 5, time=NOON_MS - 7))
    assert badge is not None
    assert (badge.unread, badge.stale) == (5, True), "the count is older than the change it does not know of"
    badge = await apply(badge_event("d", account, 6, time=NOON_MS - 4))
    assert badge is not None
    assert (badge.unread, badge.stale) == (6, False)


async def test_an_absent_count_older_than_the_badge_changes_nothing(apply: Apply, account: str) -> None:
    badge = await apply(badge_event("a", account, 4, time=NOON_MS - 5), badge_event("b", account, time=NOON_MS - 9))
    assert badge is not None
    assert not badge.stale


async def test_a_badge_without_any_count_is_stale_and_knows_no_number(apply: Apply, account: str) -> None:
    badge = await apply(badge_event("a", account, time=NOON_MS - 5))
    assert badge == Badge(app_id=APP, account=account, unread=None, time=None, event_id=None, stale=True)


async def test_a_count_of_zero_is_a_count(apply: Apply, account: str) -> None:
    badge = await apply(badge_event("a", account, 0, time=NOON_MS - 5))
    assert badge is not None
    assert badge.unread == 0


async def badge_after_count(store: BadgeStore, account: str, written: bytes) -> Badge:
    """The badge of an account that had 3, after an event with a count that is written in this way."""
    await apply_events(store, badge_event("a", account, 3, time=NOON_MS - 9))
    value = orjson.dumps(badge_event("b", account, 99, time=NOON_MS - 5)).replace(b":99", b":" + written)
    event = read_badge_event(value)
    assert event is not None
    if events := collect([event]):
        await store.update(events)
    [badge] = await store.find(account, APP)
    return badge


@pytest.mark.parametrize(("written", "unread"), [(b"7.0", 7), (b"7e0", 7), (b"0.0", 0), (b"-1.0", 3)])
async def test_a_whole_number_is_a_count_however_it_is_written(
    store: BadgeStore, account: str, written: bytes, unread: int
) -> None:
    badge = await badge_after_count(store, account, written)
    assert (badge.unread, badge.stale) == (unread, False)


@pytest.mark.parametrize("written", [b"7.5", b"1e30", b"2147483648.0"])
async def test_a_number_that_no_count_can_be_is_as_good_as_none(
    store: BadgeStore, account: str, written: bytes
) -> None:
    badge = await badge_after_count(store, account, written)
    assert (badge.unread, badge.stale) == (3, True)


@pytest.mark.parametrize("unread", [None, 3, -1])
async def test_a_message_that_was_not_delivered_changes_nothing(apply: Apply, account: str, unread: int | None) -> None:
    failed = badge_event("a", account, unread, time=NOON_MS - 5, kind=SENT, send_msg_result=120_001)
    assert await apply(failed) is None


async def test_a_delivered_message_sets_the_badge(apply: Apply, account: str) -> None:
    badge = await apply(badge_event("a", account, 3, time=NOON_MS - 5, kind=SENT, send_msg_result=0))
    assert badge is not None
    assert badge.unread == 3


async def test_an_event_about_someone_else_than_its_data_changes_no_badge(apply: Apply, account: str) -> None:
    assert await apply(badge_event("a", f"not-{account}", 3, time=NOON_MS - 5, subject=account)) is None


async def test_an_event_of_another_type_changes_no_badge(apply: Apply, account: str) -> None:
    event = badge_event("a", account, 3, time=NOON_MS - 5) | {"type": "im.c2c.message.read_receipt"}
    assert await apply(event) is None
    assert read_badge_event(orjson.dumps(event)) is None


async def test_a_redelivered_callback_without_a_time_changes_no_badge(apply: Apply, account: str) -> None:
    before = await apply(
        badge_event("a", account, 1), badge_event("b", account, 2, time=NOON_MS + SECOND_MS, received=NOON_MS)
    )
    assert before is not None
    assert before.unread == 2
    redelivered = badge_event("a", account, 1, received=NOON_MS + MINUTE_MS)
    assert await apply(redelivered, redelivered) == before


async def test_a_redelivered_callback_without_time_and_count_does_not_make_a_badge_stale_again(
    apply: Apply, account: str
) -> None:
    before = await apply(badge_event("a", account), badge_event("b", account, 2, received=NOON_MS + SECOND_MS))
    assert before is not None
    assert not before.stale
    assert await apply(badge_event("a", account, received=NOON_MS + MINUTE_MS)) == before


async def test_the_last_16_callbacks_without_a_time_are_known_again(apply: Apply, account: str) -> None:
    events = [badge_event(f"id-{number}", account, number, received=NOON_MS + number) for number in range(17)]
    before = await apply(*events)
    later = NOON_MS + MINUTE_MS
    assert await apply(*(badge_event(f"id-{number}", account, 99, received=later) for number in range(1, 17))) == before
    forgotten = await apply(badge_event("id-0", account, 99, received=later))
    assert forgotten is not None
    assert forgotten.unread == 99


async def test_records_read_again_after_more_than_16_others_change_no_badge(apply: Apply, account: str) -> None:
    events = [badge_event(f"id-{number}", account, number, received=NOON_MS + number) for number in range(40)]
    assert await apply(*events) == await apply(*events)


async def test_a_time_more_than_5_minutes_ahead_of_receipt_counts_as_absent(apply: Apply, account: str) -> None:
    ahead = badge_event("a", account, 1, time=NOON_MS + 5 * MINUTE_MS + 1)
    badge = await apply(ahead)
    assert badge is not None
    assert badge.time == rfc3339(NOON_MS)
    before = await apply(badge_event("b", account, 2, received=NOON_MS + MINUTE_MS))
    assert before is not None
    assert before.unread == 2
    redelivered = badge_event("a", account, 1, time=NOON_MS + 5 * MINUTE_MS + 1, received=NOON_MS + 2 * MINUTE_MS)
    assert await apply(redelivered) == before, "it is no longer so far ahead, but known"


async def test_a_time_up_to_5_minutes_ahead_of_receipt_is_believed(apply: Apply, account: str) -> None:
    badge = await apply(badge_event("a", account, 1, time=NOON_MS + 5 * MINUTE_MS))
    assert badge is not None
    assert badge.time == rfc3339(NOON_MS + 5 * MINUTE_MS)


async def test_apps_and_accounts_are_kept_apart(apply: Apply, store: BadgeStore, account: str) -> None:
    await apply(
        badge_event("a", account, 1, time=NOON_MS - 1), badge_event("b", account, 2, time=NOON_MS - 1, app="1400000001")
    )
    assert [(badge.app_id, badge.unread) for badge in await store.find(account, None)] == [
        (APP, 1),
        ("1400000001", 2),
    ]


async def test_an_update_returns_every_badge_asked_for_changed_or_not(store: BadgeStore, account: str) -> None:
    owner, other = Owner(APP, account), Owner(APP, f"{account}-2")
    await store.update({owner: [NOON_MS, "a", 5, False]})
    badges = await store.update({other: [NOON_MS, "b", 6, False], owner: [NOON_MS - 1, "c", 7, False]})
    assert [(badge.account, badge.unread) for badge in badges] == [(other.account, 6), (account, 5)]


@pytest.mark.parametrize("name", ["日本 with spaces", "a:b:c", "%s{}", "x" * 500])
async def test_any_account_name_has_a_badge(apply: Apply, store: BadgeStore, account: str, name: str) -> None:
    await apply(badge_event("a", f"{account} {name}", 5, time=NOON_MS - 1))
    assert [badge.unread for badge in await store.find(f"{account} {name}", APP)] == [5]
