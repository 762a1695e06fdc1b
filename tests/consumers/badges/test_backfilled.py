"""What an event of the platform's archive does to a badge: it has no count, so the platform has to be asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import orjson
import pytest

from consumers.badges.badge_event import collect, read_badge_event
from consumers.badges.store import Badge, BadgeStore
from consumers.settings import ConsumersSettings
from consumers.testing import event
from tests.support.badges import apply_events
from tests.support.redis import RedisServer

NOON = datetime(2025, 11, 28, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=3)


def sent(seconds: float, number: int, *, unread: int | None = None, account: str = "ann") -> dict[str, Any]:
    """A message; without a count it is of the archive, whose times are whole seconds."""
    data = {"to_account": account} if unread is None else {"to_account": account, "unread_total": unread}
    at = NOON + timedelta(seconds=seconds)
    made = event("im.c2c.message.sent", account, event_id=f"{number:032x}", time=at, received=LATER, **data)
    return made if unread is not None else {**made, "backfilled": True}


async def badge_after(server: RedisServer, account: str, *events: dict[str, Any]) -> Badge:
    """The badge of an account that got these."""
    store = BadgeStore(ConsumersSettings.model_validate({"redis_url": server.url}))
    try:
        await apply_events(store, *events)
        (found,) = await store.find(account, None)
    finally:
        await store.close()
    return found


async def test_a_message_after_the_last_count_makes_the_badge_stale(redis_server: RedisServer) -> None:
    account = "backfilled-1"
    found = await badge_after(
        redis_server, account, sent(0, 1, unread=3, account=account), sent(60, 2, account=account)
    )
    assert (found.unread, found.stale) == (3, True)


async def test_a_message_that_a_newer_count_includes_changes_nothing(redis_server: RedisServer) -> None:
    account = "backfilled-2"
    found = await badge_after(
        redis_server, account, sent(600, 1, unread=3, account=account), sent(60, 2, account=account)
    )
    assert (found.unread, found.stale) == (3, False)


async def test_a_count_of_the_same_second_may_be_from_before_the_message(redis_server: RedisServer) -> None:
    account = "backfilled-3"
    found = await badge_after(
        redis_server, account, sent(60.9, 1, unread=3, account=account), sent(60, 2, account=account)
    )
    assert (found.unread, found.stale) == (3, True)


async def test_whom_no_event_told_of_before_has_a_stale_badge(redis_server: RedisServer) -> None:
    found = await badge_after(redis_server, "backfilled-4", sent(60, 1, account="backfilled-4"))
    assert (found.unread, found.stale) == (None, True)


async def test_the_order_in_which_they_are_handled_does_not_matter(redis_server: RedisServer) -> None:
    outcomes = set()
    for number, order in enumerate(permutations(range(4))):
        account = f"backfilled-order-{number}"
        events = [
            sent(0, 1, unread=3, account=account),
            sent(60, 2, account=account),
            sent(60.5, 2, unread=4, account=account),
            sent(62, 3, account=account),
        ]
        found = await badge_after(redis_server, account, *(events[at] for at in order))
        outcomes.add((found.unread, found.stale))
    assert outcomes == {(4, True)}


@pytest.mark.parametrize("seconds", [-60.0, 1e8], ids=["past", "far future"])
def test_a_time_that_cannot_be_is_ordered_by_the_receipt_as_ever(seconds: float) -> None:
    made = sent(seconds, 1)
    read = read_badge_event(orjson.dumps(made))
    assert read is not None
    ((_, _, _, by_receipt),) = [tuple(one) for one in collect([read]).values()]
    assert by_receipt == (seconds > 0)
