"""How often something may happen in a minute."""

from __future__ import annotations

from bridge.ingress.rate_limit import RateLimit


def test_so_many_pass_in_each_minute_of_the_clock() -> None:
    now = 59.0
    limit = RateLimit(2, now=lambda: now)
    assert [limit.admits() for _ in range(4)] == [True, True, False, False]
    now = 60.0
    assert [limit.admits() for _ in range(3)] == [True, True, False]
