"""Writes badges to their compacted topic, alone or beside other writers of the same badges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat

import msgspec

from common.timestamps import rfc3339
from consumers.badges.bulk import BadgeBulk
from consumers.badges.store import Badge, BadgeStore, Owner, badge_order
from consumers.worker import Context, OutgoingRecord

WRITTEN_WITHIN_S = 1.0
"""Who wrote badges later than so after it had asked Redis for them looks at them again: others may have them by then. A
group waits longer for a member that is silent, and who lets badges go for who writes them."""
_HEADERS = [("content-type", b"application/json")]

Traces = Mapping[Owner, Sequence[tuple[str, bytes]]]
"""Headers by which the record of a badge belongs to the trace of the event that it was made of."""
NO_TRACES: Traces = {}

_encode_lines = msgspec.json.Encoder().encode_lines
"""In JSON no end of a line stands for itself, so that the lines are the badges."""


async def publish_badges(context: Context, badges: Iterable[Badge], traces: Traces = NO_TRACES) -> None:
    """Write badges to their topic, one record each, and wait until they are confirmed.

    Args:
        context: of the worker.
        badges: what is written.
        traces: of those that belong to one.

    Raises:
        RetryLater: Kafka is away.
    """
    badges = list(badges)
    keys = [f"{badge.app_id}:{badge.account}".encode() for badge in badges]
    headers = [_headers(badge, traces) for badge in badges] if traces else repeat(_HEADERS)
    records = list(map(OutgoingRecord, keys, _encode_lines(badges).split(b"\n"), headers))
    if records:
        await context.producer.publish(context.settings.badges_topic, records)


async def publish_tombstones(context: Context, owners: Iterable[Owner]) -> None:
    """Write to the topic that badges are gone.

    Raises:
        RetryLater: Kafka is away.
    """
    tombstones = [OutgoingRecord(owner.key.encode(), None) for owner in owners]
    await context.producer.publish(context.settings.badges_topic, tombstones)


async def publish_gone(context: Context, store: BadgeStore, owners: Sequence[Owner]) -> None:
    """Write to the topic that badges are gone, and those that an event has made anew meanwhile.

    Raises:
        RetryLater: Kafka or Redis is away.
    """
    if owners:
        await publish_tombstones(context, owners)
        await publish_latest(context, store, [one for one in await _stored(store, owners) if one.exists])


async def _stored(store: BadgeStore, owners: Iterable[Owner]) -> list[Badge]:
    return await store.update({owner: [] for owner in owners})


def _headers(badge: Badge, traces: Traces) -> Sequence[tuple[str, bytes]]:
    return [*_HEADERS, *traces.get(badge.owner, ())]


async def publish_latest(
    context: Context, store: BadgeStore, badges: Sequence[Badge], traces: Traces = NO_TRACES
) -> None:
    """Write badges that others may change meanwhile: those that changed are written again, until the topic is as Redis.

    Raises:
        RetryLater: Kafka or Redis is away.
    """
    while badges:
        await publish_badges(context, badges, traces)
        badges = await later_badges(context, store, badges)


async def later_badges(context: Context, store: BadgeStore, written: Sequence[Badge]) -> list[Badge]:
    """What `changed_badges` gives for badges that were just written to the topic.

    Of those that were let go for their age meanwhile the tombstones are written again: the record may be behind them.

    Raises:
        RetryLater: Kafka or Redis is away.
    """
    stored = await _stored(store, [badge.owner for badge in written])
    if gone := [before for before, after in zip(written, stored, strict=True) if not after.exists]:
        await _take_back(context, store, gone)
    return _changed(written, stored)


async def changed_badges(store: BadgeStore, badges: Sequence[Badge]) -> list[Badge]:
    """Those of some badges that are stored differently by now, as they are stored.

    Not those that are gone, or older than they were: Redis has lost them then, and `restoration` puts them back.

    Raises:
        RetryLater: Redis is away.
    """
    return _changed(badges, await _stored(store, [badge.owner for badge in badges]))


def _changed(badges: Sequence[Badge], stored: Sequence[Badge]) -> list[Badge]:
    return [after for before, after in zip(badges, stored, strict=True) if before != after and _follows(after, before)]


async def _take_back(context: Context, store: BadgeStore, gone: Sequence[Badge]) -> None:
    """Write the tombstones of badges that were let go. What is missing for another reason is lost, and is put back."""
    if not (before_ms := await BadgeBulk(store).let_go_before()):
        return
    before = rfc3339(before_ms)
    old = [badge.owner for badge in gone if (badge.time or "") < before]
    if old and not await store.losses():
        await publish_gone(context, store, old)


def _follows(after: Badge, before: Badge) -> bool:
    return after.exists and badge_order(after) >= badge_order(before)
