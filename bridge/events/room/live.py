"""Live rooms: the room itself, its members and gifts."""

from __future__ import annotations

from typing import Annotated

from bridge.events import answers, fields
from bridge.events.base import Callback, Data, Part, Reply, tencent
from bridge.events.room.info import Room, RoomInfo, RoomStatistic


class LiveRoomCreated(Data, frozen=True):
    """A live room was created."""

    callback = Callback(
        command="Live.CallbackAfterCreateRoom",
        type="im.live.room.created",
        subject=("room_info.room_id",),
        identity=("room_info.room_id", "room_info.create_time", "event_time?"),
        identity_reason="A room is created once in a second, and may be created anew under its old id later.",
        source="647/64422, 647/110679",
        time="room_info.event_time",
    )

    operator_account: fields.OperatorAccount = None
    room_info: Room = None


class LiveRoomDestroyed(Data, frozen=True):
    """A live room was dissolved."""

    callback = Callback(
        command="Live.CallbackAfterDestroyRoom",
        type="im.live.room.destroyed",
        subject=("room_id",),
        identity=("room_id", "event_time"),
        identity_reason="A room is dissolved once, and may be created anew under its old id and dissolved later.",
        source="647/64423",
    )

    operator_account: Annotated[str | None, tencent("Operator_Account", "Who did it.", optional=True)] = None
    room_id: fields.RoomId = None
    cause: Annotated[str | None, tencent("EventType", "`DestroyByUser` or `DestroyBySystem`.", optional=True)] = None
    room_info: Annotated[RoomInfo | None, tencent("RoomInfo", "The room as it was.", optional=True)] = None
    statistic: Annotated[RoomStatistic | None, tencent("Statistic", "What happened in it.", optional=True)] = None


class LiveRoomChanged(Data, frozen=True):
    """The description of a live room changed."""

    callback = Callback(
        command="Live.CallbackAfterUpdateRoomInfo",
        type="im.live.room.changed",
        subject=("room_info.room_id",),
        identity=("room_info.room_id", "event_time", "operator_account?", "room_info?"),
        identity_reason="It may be changed several times in one millisecond: who did it and what it is now tells"
        " these apart.",
        source="647/67938",
    )

    operator_account: fields.OperatorAccount = None
    room_info: Room = None


class RoomQuotaApproached(Data, frozen=True):
    """The app has created most of the live rooms that it may have."""

    callback = Callback(
        command="Live.CallbackAfterCreateRoomReachingThreshold",
        type="im.live.room_quota.approached",
        subject=(),
        identity=("room_count", "event_time"),
        identity_reason="It says nothing but how many rooms there are; twice in a millisecond is the same.",
        source="647/70485",
    )

    operator_account: fields.OperatorAccount = None
    room_count: Annotated[int | None, tencent("CurRoomCount", "How many there are.", has_two_forms=True)] = None
    max_room_count: Annotated[int | None, tencent("MaxRoomCount", "How many there may be.", has_two_forms=True)] = None


class LiveMemberStateChanged(Data, frozen=True):
    """Members of a live room came or went."""

    callback = Callback(
        command="Live.CallbackMemberStateChanged",
        type="im.live.member_state.changed",
        subject=("room_id",),
        identity=("room_id", "member_list.member_account", "state", "event_time", "cause?"),
        identity_reason="Nobody can come or go twice in a millisecond without the opposite between.",
        source="647/64424",
        aliases=("Live.CallbackAfterMemberStateChanged",),
    )

    room_id: fields.RoomId = None
    state: Annotated[str | None, tencent("EventType", "`Online` or `Offline`.")] = None
    cause: Annotated[
        str | None,
        tencent("EventCause", "Why: `Enter`, `Leave`, `Kicked`, `HeartbeatInterrupt` or `HeartbeatRecover`."),
    ] = None
    member_list: Annotated[list[fields.Member] | None, tencent("MemberList", "The members.")] = None


class LiveOwnerChanged(Data, frozen=True):
    """A live room has a new owner."""

    callback = Callback(
        command="Live.CallbackAfterChangeOwner",
        type="im.live.owner.changed",
        subject=("room_id",),
        identity=("room_id", "new_owner_account", "event_time", "old_owner_account?"),
        identity_reason="Nobody can become the owner twice in a millisecond, but from another one.",
        source="647/72553",
    )

    room_id: fields.RoomId = None
    operator_account: fields.OperatorAccount = None
    old_owner_account: Annotated[str | None, tencent("OriginalOwner_Account", "The owner before.")] = None
    new_owner_account: Annotated[str | None, tencent("CurrentOwner_Account", "The owner now.")] = None


class LiveAdminsChanged(Data, frozen=True):
    """Administrators of a live room were added or removed."""

    callback = Callback(
        command="Live.CallbackAfterModifyAdmin",
        type="im.live.admins.changed",
        subject=("room_id",),
        identity=("room_id", "admin_accounts", "option_type", "event_time"),
        identity_reason="Nobody can be added or removed twice in a millisecond without the opposite between.",
        source="647/72554",
    )

    room_id: fields.RoomId = None
    operator_account: fields.OperatorAccount = None
    admin_accounts: Annotated[list[str] | None, tencent("Admin_Account", "The administrators.")] = None
    option_type: Annotated[str | None, tencent("opType", "`add` or `delete`.")] = None


class Gift(Part, frozen=True):
    """A gift."""

    from_account: Annotated[str | None, tencent("From_Account", "Who gives.")] = None
    to_accounts: Annotated[list[str] | None, tencent("To_Account", "Who receives.")] = None
    gift_time: Annotated[int | None, tencent("Time", "When, Unix seconds.")] = None
    gift_id: Annotated[str | None, tencent("GiftId", "The kind of gift.")] = None
    count: Annotated[int | None, tencent("Count", "How many.")] = None
    coins: Annotated[int | None, tencent("Coins", "What one of them is worth.")] = None


class GiftSendRequested(Data, frozen=True):
    """A user is about to send a gift in a live room."""

    callback = Callback(
        command="Live.CallbackBeforeSendGift",
        type="im.live.gift_send.requested",
        subject=("room_id",),
        identity=(),
        exact=False,
        identity_reason="A user may send the same gift many times a second, and nothing numbers them.",
        source="647/72210",
        reply=Reply.ALLOW,
        answers=answers.GIFT,
    )

    operator_account: fields.OperatorAccount = None
    room_id: fields.RoomId = None
    gift: Annotated[Gift | None, tencent("GiftWater", "The gift.")] = None
