"""Lets badges go whose newest event is older than CONSUMERS_BADGE_TTL_DAYS, from Redis and from the topic.

The tombstone on the topic is written first. So a pass that breaks off is made again, and none leaves Redis and stays on
the topic. A badge that an event changes meanwhile, be it an old one, stays, and is written to the topic once more.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Mapping
from typing import NoReturn

from common.logs import fields
from consumers.badges.bulk import BadgeBulk, PackedBadge
from consumers.badges.publishing import WRITTEN_WITHIN_S, publish_gone, publish_latest, publish_tombstones
from consumers.badges.store import BadgeStore, Owner
from consumers.errors import describe, is_passing
from consumers.worker import Context

log = logging.getLogger(__name__)

_DAY_MS = 86_400_000
_PASS_EVERY_S = 3600.0
_LOOK_EVERY_S = 300.0
_WRITTEN_BY_ALL_S = 2 * WRITTEN_WITHIN_S
"""So long after the removal of badges there are second tombstones: who had looked at Redis before may have written them
after the first ones. Who does so later looks again."""
_PAUSE_S = 0.02
"""After each portion of keys: a pass takes nothing from the events."""


async def expire_badges(context: Context, store: BadgeStore, *, pause_s: float = 0.0) -> int:
    """Let all badges go that are old enough; how many those were.

    Args:
        context: settings, and the producer.
        store: the badges.
        pause_s: after each portion of keys.

    Raises:
        RetryLater: Redis or Kafka is away.
    """
    bulk = BadgeBulk(store)
    before_ms = int(time.time() * 1000) - context.settings.badge_ttl_days * _DAY_MS
    count = 0
    removed: deque[tuple[float, list[Owner]]] = deque()
    await bulk.note_let_go(before_ms)
    async for owners in bulk.scan():
        if old := await bulk.older(owners, before_ms):
            gone = await _let_go(context, store, old, before_ms)
            removed.append((time.monotonic() + _WRITTEN_BY_ALL_S, gone))
            count += len(gone)
        while removed and removed[0][0] < time.monotonic():
            await publish_gone(context, store, removed.popleft()[1])
        await asyncio.sleep(pause_s)
    for due_at, gone in removed:
        await asyncio.sleep(due_at - time.monotonic())
        await publish_gone(context, store, gone)
    return count


async def _let_go(context: Context, store: BadgeStore, old: Mapping[Owner, PackedBadge], before_ms: int) -> list[Owner]:
    """Let badges go that are still what they were; whose those were."""
    await publish_tombstones(context, old)
    removed = await BadgeBulk(store).remove_older(old, before_ms)
    # Of an event that came between, the worker may have written the badge after our tombstone.
    if kept := old.keys() - set(removed):
        left = await store.update({owner: [] for owner in kept})
        await publish_latest(context, store, [badge for badge in left if badge.exists])
    return removed


async def keep_expiring(context: Context, store: BadgeStore) -> NoReturn:
    """Make a pass each hour, for ever; one process of all."""
    bulk = BadgeBulk(store)
    await asyncio.sleep(random.uniform(0, 2))  # noqa: S311 - no secret
    while True:
        try:
            # It is not given back: whoever had it has made the pass of this hour.
            if await bulk.hold_expiry(for_s=_PASS_EVERY_S):
                count = await expire_badges(context, store, pause_s=_PAUSE_S)
                log.info("%d old badges were let go", count, extra=fields("badges_expired", badges=count))
        except Exception as error:
            if not is_passing(error):
                log.exception("old badges could not be let go", extra=fields("badges_wait", reason=describe(error)))
        await asyncio.sleep(_LOOK_EVERY_S)
