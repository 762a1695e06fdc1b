"""The badges in Redis: one key `im:badge:{app_id}:{account}` each.

`badges.lua` has the rule by which they change, `badge_layout.lua` the form in which they are stored.

Badges that are updated in one step must share a slot where Redis is a cluster, also with what is noted of them
together, their state. So there is one step for each slot then, and a state for each slot; a single server has one of
both. What is noted besides, the apps and the sets of stale badges, is written in a second step. A crash between the two
is healed by the events, which come again.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal

import msgspec
import redis.exceptions

from consumers.badges.keys import (
    APPS_KEY,
    BEGUN_KEY,
    STATE_KEY,
    WHOLE,
    Slot,
    badge_key,
    badge_keys,
    is_split,
    slots_of_all_nodes,
    state_key,
)
from consumers.badges.owner import Owner
from consumers.badges.redis_clients import RedisClient, replied_text
from consumers.badges.redis_connection import ForeignKeyError, Key, RedisConnection, ScriptCall, ServerKind
from consumers.badges.scripts import badge_script, script
from consumers.badges.slots import SLOTS, slot_of
from consumers.badges.stale_sets import StaleSets
from consumers.badges.update_reply import (
    NOTHING_LOST,
    Badge,
    NoBadgeError,
    StoreState,
    UpdateReply,
    badges_of,
    read_reply,
)
from consumers.errors import WorkerRefusedError, describe, is_passing
from consumers.settings import ConsumersSettings

__all__ = [
    "NO_COUNT",
    "WHOLE",
    "Badge",
    "BadgeStore",
    "Events",
    "Owner",
    "Slot",
    "StoreState",
    "UpdateMode",
    "badge_key",
    "badge_order",
]

REMEMBERED_IDS = 16
"""How many events without a time of their own a badge knows again."""

NO_COUNT = -1
"""Stands for the count of an event that should have had one."""


_PROBES = (Owner("0", "probe-1"), Owner("1", "probe-2"))
"""Of no user: their keys lie in different slots of a cluster."""

Events = list[int | str | bool]
"""For each event of a badge: time in Unix ms, id, unread or NO_COUNT, whether it is ordered by its receipt."""


_encode = msgspec.msgpack.Encoder().encode

UpdateMode = Literal["watch", "look", "rebuild"]
"""`watch`: that the state is missing means that Redis has lost all. `rebuild`: events are all that there are."""

_STATES_AT_A_TIME = 2000


class BadgeStore:
    """Access to the badges in Redis.

    Every method raises RetryLater when Redis cannot do it now, and ForeignKeyError when what is stored is no badge.

    Args:
        settings: where Redis is.
        mode: what the events are that it is given; see UpdateMode.
    """

    def __init__(self, settings: ConsumersSettings, *, mode: UpdateMode = "look") -> None:
        self.connection = RedisConnection(settings)
        self.layout = settings.badge_layout
        self.stale_sets = StaleSets(self.connection)
        self._mode = mode
        self._states: dict[Slot, StoreState] = {}
        self._lost: dict[Slot, StoreState] = {}
        """Those of the states that tell of a loss."""
        self._losses_told = 0
        """How often an answer told of a loss that was not known."""
        self._noted_apps: set[str] = set()
        self._update = badge_script("badges.lua")
        self._begin, self._rebuilt, self._note_loss = (
            script(f"state_{name}.lua") for name in ("begin", "rebuilt", "lost")
        )

    @property
    def state(self) -> StoreState:
        """The state that tells of the latest loss, as of the last answers; NOTHING_LOST where none does."""
        return max(self._lost.values(), key=lambda state: state.lost_at_ms, default=NOTHING_LOST)

    @property
    def doubts(self) -> tuple[int, int]:
        """Another one than before where what was read or written meanwhile may be gone, or have been put back since.

        For another server may have taken over, or an answer told of a loss.
        """
        return self.connection.losses, self._losses_told

    async def check(self) -> None:
        """See that Redis answers, and runs the script: else events would seem to be at fault later.

        Raises:
            WorkerRefusedError: it has no such database, or does not run the script.
        """
        try:
            await self._run_update({owner: [] for owner in _PROBES}, mode="look")
        except (redis.exceptions.RedisError, OSError) as error:
            if not isinstance(error, redis.exceptions.ResponseError) or is_passing(error):
                raise self.connection.away(error) from error
            raise WorkerRefusedError(
                f"Redis at {self.connection.shown_url} does not run the script of the badges ({describe(error)}): "
                "CONSUMERS_REDIS_URL must lead to a database of Redis or Valkey with EVAL, EVALSHA and cmsgpack"
            ) from error

    async def has_state(self) -> bool:
        """Whether Redis knows of badges: whether it has their state, or had badges before there was one."""
        for key in (STATE_KEY, BEGUN_KEY, APPS_KEY):
            if await self.connection.run(lambda client, key=key: client.exists(key)):  # type: ignore[misc]
                return True
        return False

    async def begin(self, *, lost: bool) -> None:
        """Note the state of the badges where there is none yet.

        Args:
            lost: whether there were badges, which are gone.
        """
        arguments = [uuid.uuid4().hex, "1" if lost else ""]
        if not is_split(await self.kind()):
            await self._run_on_states(self._begin, [STATE_KEY], arguments)
            return
        if await self.connection.run(lambda client: client.exists(BEGUN_KEY)):
            return  # A slot without its state has lost it.
        keys = list(map(state_key, range(SLOTS)))
        begun = await self._run_on_states(self._begin, keys, arguments)
        missing = [key for key, is_new in zip(keys, begun, strict=True) if is_new]
        if len(missing) < SLOTS:  # The others had begun: a node was emptied that had these, and the key of that too.
            await self._run_on_states(self._note_loss, missing, [uuid.uuid4().hex])
        await self.connection.run(lambda client: client.set(BEGUN_KEY, "1"))

    async def note_loss(self, owners: Iterable[Owner]) -> None:
        """Note that the badges of some owners, and what is stored with them, are lost or older than they were."""
        await self._note_loss_in(sorted({await self._slot(owner) for owner in owners}))

    async def note_loss_anywhere(self) -> None:
        """Note that badges are lost, whichever."""
        await self._note_loss_in(await self._all_slots())

    async def _note_loss_in(self, slots: Sequence[Slot]) -> None:
        rows = await self._run_on_states(self._note_loss, list(map(state_key, slots)), [uuid.uuid4().hex])
        for slot, row in zip(slots, rows, strict=True):
            self._note_state(slot, _state_of(row))

    async def losses(self) -> dict[Slot, StoreState]:
        """The states that tell of a loss; all are asked.

        Those that are gone, or older than they were, are noted as lost: a node of a cluster that comes back without its
        data, or with old ones, has lost thousands of slots, and they are put back together.
        """
        found: dict[Slot, StoreState] = {}
        behind: list[Slot] = []
        async for slot, row in self._read_states(await self._all_slots()):
            state = _state_of(row)
            if self._mode == "watch" and state.is_behind(self._states.get(slot, NOTHING_LOST)):
                behind.append(slot)
            elif state.lost_at_ms:
                found[slot] = state
        watched = await self._watch(behind)
        found |= {slot: state for slot, state in watched.items() if state.lost_at_ms}
        self._lost = dict(found)
        self._states.update(found)
        return found

    async def end_rebuild(self, losses: Mapping[Slot, StoreState]) -> None:
        """Note that what was lost is there again, if no more was lost since.

        Args:
            losses: as they were when the rebuild began.
        """
        calls: list[ScriptCall] = [
            ([state_key(slot)], [state.id or "", state.lost_at_ms]) for slot, state in losses.items()
        ]
        if calls:
            others = [key for keys, _ in calls for key in keys]
            await self.connection.run(lambda client: self._rebuilt.run_all(client, calls), others=others)
        for slot in losses:
            self._lost.pop(slot, None)
            self._states.pop(slot, None)

    async def update(self, events: Mapping[Owner, Events]) -> list[Badge]:
        """Bring badges up to date, those of one slot in one step.

        Args:
            events: owner → events of the badge; with no events the badge is only read.

        Returns:
            each badge as it is stored then, in the order of `events`, also those that did not change.
        """
        try:
            return await self._run_update(events, mode=self._mode)
        except redis.exceptions.DataError:
            raise
        except (redis.exceptions.RedisError, OSError) as error:
            others = [APPS_KEY, STATE_KEY, *self.stale_sets.keys_of(events)]
            raise await self.connection.explained(error, badges=list(map(badge_key, events)), others=others) from error

    async def by_slot(self, owners: Iterable[Owner]) -> dict[Slot, list[Owner]]:
        """Owners whose badges one script call can have."""
        kind = await self.kind()
        groups: dict[Slot, list[Owner]] = {}
        if not is_split(kind):
            together = list(owners)
            return {WHOLE: together} if together else {}
        for owner in owners:
            groups.setdefault(slot_of(badge_key(owner)), []).append(owner)
        return groups

    async def find(self, account: str, app_id: str | None) -> list[Badge]:
        """The badges that an account has in one app, or (None) in all apps."""
        apps = [app_id] if app_id is not None else await self.apps()
        badges = await self.update({Owner(app, account): [] for app in apps}) if apps else []
        return [badge for badge in badges if badge.exists]

    async def apps(self) -> list[str]:
        """The apps that have badges."""
        apps = await self.connection.run(lambda client: client.smembers(APPS_KEY), others=[APPS_KEY])
        return sorted(app.decode() if isinstance(app, bytes) else app for app in apps)

    async def close(self) -> None:
        """Disconnect."""
        await self.connection.close()

    async def kind(self) -> ServerKind:
        """What answers at the address."""
        try:
            return await self.connection.kind()
        except (redis.exceptions.RedisError, OSError) as error:
            raise self.connection.away(error) from error

    async def _all_slots(self) -> Sequence[Slot]:
        return range(SLOTS) if is_split(await self.kind()) else [WHOLE]

    async def _slot(self, owner: Owner) -> Slot:
        return slot_of(badge_key(owner)) if is_split(await self.kind()) else WHOLE

    async def _run_update(self, events: Mapping[Owner, Events], *, mode: UpdateMode) -> list[Badge]:
        await self.connection.kind()
        groups = await self.by_slot(events)
        if not groups:
            groups = await self._groups_to_probe()
        calls = [self._call(slot, owners, events, mode) for slot, owners in groups.items()]
        replies = await self.connection.attempt(lambda client: self._update.run_all(client, calls))
        answers: list[tuple[list[Owner], UpdateReply]] = []
        for (slot, owners), reply in zip(groups.items(), replies, strict=True):
            answer = self._read(owners, reply)
            self._note_state(slot, answer.state)
            answers.append((owners, answer))
        await self._note_besides(events, answers)
        badges = [badge for owners, answer in answers for badge in badges_of(owners, answer)]
        if len(answers) > 1:
            of_owner = dict(zip(chain.from_iterable(groups.values()), badges, strict=True))
            badges = [of_owner[owner] for owner in events]
        return badges

    async def _watch(self, slots: Sequence[Slot]) -> dict[Slot, StoreState]:
        """The states of some slots, where a state that is gone or older than it was is noted as a loss."""
        calls = [self._call(slot, [], {}, "watch") for slot in slots]
        replies = await self.connection.run(lambda client: self._update.run_all(client, calls), others=[STATE_KEY])
        states = {slot: self._read([], reply).state for slot, reply in zip(slots, replies, strict=True)}
        for slot, state in states.items():
            self._note_state(slot, state)
        return states

    async def _groups_to_probe(self) -> dict[Slot, list[Owner]]:
        """What is asked for where no badge is: of a cluster a slot of each node, as far as that can be told."""
        if not is_split(await self.connection.kind()):
            return {WHOLE: []}
        return {slot: [] for slot in slots_of_all_nodes()}

    def _call(
        self, slot: Slot, owners: Sequence[Owner], events: Mapping[Owner, Events], mode: UpdateMode
    ) -> ScriptCall:
        known = self._states.get(slot, NOTHING_LOST)
        keys: list[Key] = [state_key(slot), *badge_keys(owners)]
        packed = _encode(list(events.values()) if slot == WHOLE else [events[owner] for owner in owners])
        new_id = uuid.uuid4().hex if mode == "watch" else ""
        return keys, [self.layout, REMEMBERED_IDS, packed, mode, new_id, known.id or "", known.generation]

    def _note_state(self, slot: Slot, state: StoreState) -> None:
        known = self._states.get(slot)
        if known is not None and known.id == state.id and known.generation > state.generation:
            # The answer to a step before; batches of several partitions run side by side.
            state = StoreState(state.id, state.lost_at_ms, known.generation)
        self._states[slot] = state
        if state.lost_at_ms:
            self._losses_told += self._lost.get(slot, NOTHING_LOST).lost_at_ms != state.lost_at_ms
            self._lost[slot] = state
        else:
            self._lost.pop(slot, None)

    async def _note_besides(
        self, events: Mapping[Owner, Events], answers: Iterable[tuple[list[Owner], UpdateReply]]
    ) -> None:
        """The apps, and which badges are stale: what does not share the slot of a badge."""
        if new_apps := {owner.app_id for owner, of_owner in events.items() if of_owner} - self._noted_apps:
            await self.connection.attempt(lambda client: client.sadd(APPS_KEY, *sorted(new_apps)))
            self._noted_apps |= new_apps
        stale: list[Owner] = []
        fresh: list[Owner] = []
        for owners, answer in answers:
            for numbers, noted in ((answer.stale, stale), (set(answer.were_stale).difference(answer.stale), fresh)):
                noted += [owner for number in numbers if events[owner := owners[number - 1]]]
        if stale or fresh:
            await self.stale_sets.note(stale, fresh)
        if fresh:
            # Somebody else may have made one stale again before it was taken out.
            groups = await self.by_slot(fresh)
            unread: dict[Owner, Events] = {owner: [] for owner in fresh}
            calls = [self._call(slot, owners, unread, "look") for slot, owners in groups.items()]
            replies = await self.connection.attempt(lambda client: self._update.run_all(client, calls))
            again = [
                owners[number - 1]
                for owners, reply in zip(groups.values(), replies, strict=True)
                for number in self._read(owners, reply).stale
            ]
            await self.stale_sets.note(again, [])

    def _read(self, owners: Sequence[Owner], packed: bytes) -> UpdateReply:
        try:
            return read_reply(owners, packed)
        except NoBadgeError as error:
            wrong = ", ".join(badge_key(owner).decode() for owner in error.owners[:3])
            raise ForeignKeyError(
                f"the key {wrong} in Redis at {self.connection.shown_url} holds what is no badge: delete that key"
            ) from None

    async def _run_on_states(self, run: Any, keys: Sequence[str], arguments: Sequence[Any]) -> list[Any]:
        calls: list[ScriptCall] = [([key], arguments) for key in keys]
        if not calls:
            return []
        return await self.connection.run(lambda client: run.run_all(client, calls), others=keys[:3])

    async def _read_states(self, slots: Iterable[Slot]) -> AsyncIterator[tuple[Slot, list[bytes | None]]]:
        wanted = list(slots)
        for start in range(0, len(wanted), _STATES_AT_A_TIME):
            part = wanted[start : start + _STATES_AT_A_TIME]

            async def read(client: RedisClient, part: list[Slot] = part) -> list[list[bytes | None]]:
                async with client.pipeline(transaction=False) as pipeline:
                    for slot in part:
                        pipeline.hmget(state_key(slot), ["id", "lost_at", "generation"])
                    rows: list[list[bytes | None]] = await pipeline.execute()
                    return rows

            for slot, row in zip(part, await self.connection.run(read, others=[STATE_KEY]), strict=True):
                yield slot, row


def badge_order(badge: Badge) -> tuple[str, str]:
    """What of two states of one badge the newer one has the greater of."""
    return badge.time or "", badge.event_id or ""


def _state_of(row: Sequence[bytes | None]) -> StoreState:
    return StoreState(replied_text(row[0]) or False, int(row[1] or 0), int(row[2] or 0))
