"""How often something may happen in a minute."""

from __future__ import annotations

from bridge.ingress.rate_limit import RateLimit


def test_so_much_passes_in_each_minute_of_the_clock() -> None:
    now = 59.0
    limit = RateLimit(10, now=lambda: now)
    assert limit.has_room()
    limit.use(8)
    assert [limit.has_room(amount) for amount in (1, 2, 3)] == [True, True, False]
    limit.use(2)
    assert not limit.has_room()
    now = 60.0
    assert [limit.has_room(10), limit.has_room(11)] == [True, False]
