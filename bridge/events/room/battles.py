"""Battles between live rooms."""

from __future__ import annotations

from typing import Annotated

from bridge.events import fields
from bridge.events.base import Callback, Data, Part, tencent


class BattleCreated(Data, frozen=True):
    """The owner of a live room challenges others to a battle."""

    callback = Callback(
        command="Live.CallbackAfterCreateBattle",
        type="im.live.battle.created",
        subject=("battle_id",),
        identity=("battle_id", "event_time"),
        identity_reason="BattleId is the battle's own, and it is created once.",
        source="647/68259",
    )

    operator_account: fields.OperatorAccount = None
    battle_id: Annotated[str | None, tencent("BattleId", "The battle.")] = None
    from_room_id: Annotated[str | None, tencent("FromRoomId", "The room that challenges.")] = None
    to_room_ids: Annotated[list[str] | None, tencent("ToRoomIdList", "The rooms that are challenged.")] = None
    timeout_ms: Annotated[int | None, tencent("Timeout", "How long the answer is waited for, milliseconds.")] = None
    duration_ms: Annotated[int | None, tencent("Duration", "How long the battle lasts, milliseconds.")] = None
    need_response: Annotated[bool | None, tencent("NeedResponse", "Whether it begins only after an answer.")] = None
    extension_info: Annotated[str | None, tencent("ExtensionInfo", "The app's own data.", optional=True)] = None


class BattleRoom(Part, frozen=True):
    """A room in a battle."""

    room_id: fields.RoomId = None
    score: Annotated[int | None, tencent("Score", "Its score at the end.", optional=True)] = None
    owner_account: fields.OwnerAccount = None


class BattleStarted(Data, frozen=True):
    """A battle between live rooms began."""

    callback = Callback(
        command="Live.CallbackAfterStartBattle",
        type="im.live.battle.started",
        subject=("battle_id",),
        identity=("battle_id", "event_time"),
        identity_reason="BattleId is the battle's own, and it begins once.",
        source="647/68260",
    )

    battle_id: Annotated[str | None, tencent("BattleId", "The battle.")] = None
    duration_ms: Annotated[int | None, tencent("Duration", "How long it lasts, milliseconds.")] = None
    create_time: Annotated[int | None, tencent("CreateTime", "When it was created, Unix seconds.")] = None
    start_time: Annotated[int | None, tencent("StartTime", "When it began, Unix seconds.")] = None
    from_room: Annotated[BattleRoom | None, tencent("FromRoomInfo", "The room that challenged.")] = None
    to_rooms: Annotated[list[BattleRoom] | None, tencent("ToRoomList", "The rooms that were challenged.")] = None


class BattleEnded(Data, frozen=True):
    """A battle between live rooms is over."""

    callback = Callback(
        command="Live.CallbackAfterEndBattle",
        type="im.live.battle.ended",
        subject=("battle_id",),
        identity=("battle_id", "event_time"),
        identity_reason="BattleId is the battle's own, and it ends once.",
        source="647/68261",
    )

    battle_id: Annotated[str | None, tencent("BattleId", "The battle.")] = None
    duration_ms: Annotated[int | None, tencent("Duration", "How long it was to last, milliseconds.")] = None
    create_time: Annotated[int | None, tencent("CreateTime", "When it was created, Unix seconds.")] = None
    start_time: Annotated[int | None, tencent("StartTime", "When it began, Unix seconds.")] = None
    end_time: Annotated[int | None, tencent("EndTime", "When it ended, Unix seconds.")] = None
    end_reason: Annotated[
        int | None,
        tencent("OpType", "0: its time was up; 1: all owners left; 2: it never began, for nobody joined."),
    ] = None
    from_room: Annotated[BattleRoom | None, tencent("FromRoomInfo", "The room that challenged.")] = None
    to_rooms: Annotated[list[BattleRoom] | None, tencent("ToRoomList", "The rooms that were challenged.")] = None
