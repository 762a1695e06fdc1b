"""How much is kept of callbacks with a stale time."""

from __future__ import annotations

import time

from bridge.ingress.stale import JOURNAL_SHARE, StaleBudget
from bridge.settings.units import MEBIBYTE
from tests.conftest import MakeIngress
from tests.support.callbacks import RECALLED, PostedCallback, recalled

NOBODY = "127.0.0.1:9"


def test_so_many_and_so_many_bytes_are_kept_in_a_minute() -> None:
    now = 0.0
    budget = StaleBudget(3, 1000, lambda: 0.0, now=lambda: now)
    assert [budget.admits(size) for size in (400, 400, 400, 200, 0)] == [True, True, False, True, False]
    now = 60.0
    assert [budget.admits(size) for size in (1001, 1000, 1)] == [False, True, False]


def test_none_is_kept_while_the_journal_holds_much_of_what_is_real() -> None:
    used = 0.0
    budget = StaleBudget(3, 1000, lambda: used)
    assert budget.admits(1)
    used = JOURNAL_SHARE
    assert not budget.admits(1)
    used = 0.0
    assert [budget.admits(1) for _ in range(3)] == [True, True, False], "what was not kept has used up nothing"


def test_an_old_url_that_is_posted_again_and_again_takes_the_room_of_no_real_callback(ingress: MakeIngress) -> None:
    budget = 4 * MEBIBYTE
    bridge = ingress(NOBODY, BRIDGE_JOURNAL_MAX_BYTES=str(budget), BRIDGE_STALE_BYTES_PER_MINUTE=str(100 * MEBIBYTE))
    large = PostedCallback(RECALLED, recalled("ann").body.ljust(400_000))
    an_hour_ago = int(time.time()) - 3600
    assert {bridge.post(large, request_time=an_hour_ago).status for _ in range(8)} == {403}
    refused = {
        reason: bridge.metric("bridge_refused_total", reason=reason) for reason in ("stale_time", "stale_not_kept")
    }
    assert refused["stale_time"] >= 1, "some are kept"
    assert refused["stale_not_kept"] >= 5, "and no more when a tenth of the budget is used"
    assert bridge.post(large).status == 200
    assert bridge.metric("bridge_journal_bytes") < budget
