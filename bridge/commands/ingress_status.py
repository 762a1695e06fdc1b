"""How an ingress is, as `bridge status` tells it: its processes, and all of them together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import chain

import msgspec

from bridge.process.status import ProcessStatus
from common.timestamps import rfc3339


class SilentProcess(msgspec.Struct):
    """A process that lives, or should, and does not tell how it is."""

    host: str
    """Where it runs; the address, where one was asked."""
    pid: int
    """0: not known."""
    problem: str
    """What is known, for people."""


class UnansweredJournal(msgspec.Struct):
    """A journal for which no process answers, as the file system knows it."""

    name: str
    maker: str
    """Host and process id of who made it; empty where its name is not of our form."""
    owner_pid: int | None
    """Of the living process that has it open, 0 if it is in another container; None: nobody has, its owner is gone; or
    we may not ask, as `is_owner_known` says."""
    bytes: int
    written: str
    """When it was written last, RFC 3339."""
    written_s: float
    """How long ago."""
    problem: str = ""
    """Why it is no journal that can be published, for people."""
    is_owner_known: bool = True


class Total(msgspec.Struct):
    """All processes together."""

    events: int = 0
    bytes: int = 0
    oldest: str | None = None
    oldest_s: float = 0.0
    events_per_s: float | None = None
    bytes_per_s: float | None = None
    full_at: str | None = None
    """When the first of those that have room, or the disk, has none any more, if it goes on like this."""
    full_in_s: float | None = None
    drained_at: str | None = None
    """When the last of them is drained, if it goes on like this."""
    drained_in_s: float | None = None
    room_bytes: int = 0
    """What may be added to all of them: by their budgets and by what is free on their disks, whichever is less."""
    free_bytes: int | None = None
    """Of the disk that has least, None where none told."""
    is_disk_short: bool = False
    """Whether a disk is full before the budgets are of those that fill it."""


class IngressStatus(msgspec.Struct):
    """How the ingress on a folder is, or those at some addresses."""

    folder: str
    """Empty where addresses were asked."""
    time: str
    well: bool
    """Whether all answer, Kafka confirms, the disk takes callbacks, and no journal is without a process."""
    total: Total
    processes: list[ProcessStatus]
    silent: list[SilentProcess]
    left_behind: list[UnansweredJournal]
    addresses: list[str] = []
    """What was asked in place of a folder."""


def status_now(
    processes: Sequence[Sequence[ProcessStatus]],
    *,
    folder: str = "",
    addresses: Sequence[str] = (),
    silent: Sequence[SilentProcess] = (),
    left_behind: Sequence[UnansweredJournal] = (),
) -> IngressStatus:
    """What all that was told makes.

    Args:
        processes: those that answered; in one list those that share a disk.
        folder, addresses: what was asked.
        silent: those that did not answer.
        left_behind: journals without a process.
    """
    all_of_them = list(chain.from_iterable(processes))
    return IngressStatus(
        folder=folder,
        time=rfc3339(int(time.time() * 1000)),
        well=bool(all_of_them) and not (silent or left_behind) and all(map(_is_well, all_of_them)),
        total=_total(processes),
        processes=all_of_them,
        silent=list(silent),
        left_behind=list(left_behind),
        addresses=list(addresses),
    )


def _is_well(process: ProcessStatus) -> bool:
    return process.kafka.state == "confirming" and process.disk.ok and process.state != "starting"


def _total(groups: Sequence[Sequence[ProcessStatus]]) -> Total:
    waiting = [one.waiting for group in groups for one in group]
    events_per_s = [one.events_per_s for one in waiting if one.events_per_s is not None]
    bytes_per_s = [one.bytes_per_s for one in waiting if one.bytes_per_s is not None]
    full = [seconds for group in groups for seconds in _full_in_s(group)]
    free = [one for group in groups if (one := _free_bytes(group)) is not None]
    undrained = [one for one in waiting if one.events]
    drained = [one.drained_in_s for one in undrained]
    drained_in_s = None if None in drained else max((one for one in drained if one is not None), default=None)
    oldest = min((one.oldest for one in waiting if one.oldest), default=None)
    full_in_s = min(full, default=None)
    return Total(
        events=sum(one.events for one in waiting),
        bytes=sum(one.bytes for one in waiting),
        oldest=oldest,
        oldest_s=max((one.oldest_s for one in waiting), default=0.0),
        events_per_s=sum(events_per_s) if events_per_s else None,
        bytes_per_s=sum(bytes_per_s) if bytes_per_s else None,
        full_at=_in(full_in_s),
        full_in_s=full_in_s,
        drained_at=_in(drained_in_s),
        drained_in_s=drained_in_s,
        room_bytes=sum(map(_room_bytes, groups)),
        free_bytes=min(free, default=None),
        is_disk_short=any(map(_is_disk_short, groups)),
    )


def _full_in_s(group: Sequence[ProcessStatus]) -> list[float]:
    """When each of those that fill one disk, and have room yet, has none, and when the disk has none; as it goes on."""
    with_room = [one for one in group if one.disk.room_bytes] or group
    full = [one.waiting.full_in_s for one in with_room if one.waiting.full_in_s is not None]
    growth = sum(max(one.waiting.bytes_per_s or 0.0, 0.0) for one in group)
    free = _free_bytes(group)
    return [*full, free / growth] if full and free is not None and growth else full


def _free_bytes(group: Sequence[ProcessStatus]) -> int | None:
    return min((one.disk.free_bytes for one in group if one.disk.free_bytes is not None), default=None)


def _room_bytes(group: Sequence[ProcessStatus]) -> int:
    room = sum(one.disk.room_bytes for one in group)
    free = _free_bytes(group)
    return room if free is None else min(room, free)


def _is_disk_short(group: Sequence[ProcessStatus]) -> bool:
    free = _free_bytes(group)
    return free is not None and free < sum(one.disk.max_bytes - one.disk.journal_bytes for one in group)


def _in(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(int((time.time() + seconds) * 1000))
