"""Live rooms and meeting rooms: the room itself, its members, seats, battles and gifts."""

from __future__ import annotations

from typing import Annotated

from bridge.events import answers, fields
from bridge.events.base import Callback, Data, Part, Reply, tencent


class RoomInfo(Part, frozen=True):
    """A room. Of an update, only what changed is present."""

    room_id: fields.RoomId = None
    room_name: Annotated[str | None, tencent("RoomName", "Its name.", optional=True)] = None
    room_type: Annotated[str | None, tencent("RoomType", "`Live` or `Meeting`.", optional=True)] = None
    owner_account: Annotated[str | None, tencent("Owner_Account", "The owner.", optional=True)] = None
    max_member_count: Annotated[
        int | None, tencent("MaxMemberCount", "How many members it can have.", optional=True)
    ] = None
    is_message_disabled: Annotated[
        bool | None, tencent("IsMessageDisabled", "Whether members may not write.", optional=True)
    ] = None
    is_video_disabled: Annotated[
        bool | None, tencent("IsVideoDisabled", "Whether members may not send video.", optional=True)
    ] = None
    is_audio_disabled: Annotated[
        bool | None, tencent("IsAudioDisabled", "Whether members may not send audio.", optional=True)
    ] = None
    custom_info: Annotated[str | None, tencent("CustomInfo", "The app's own data.", optional=True)] = None
    is_seat_enabled: Annotated[bool | None, tencent("IsSeatEnabled", "Whether it has seats.", optional=True)] = None
    take_seat_mode: Annotated[
        str | None, tencent("TakeSeatMode", "How a seat is taken, e.g. `ApplyToTake`.", optional=True)
    ] = None
    max_seat_count: Annotated[int | None, tencent("MaxSeatCount", "How many seats it has.", optional=True)] = None
    create_time: Annotated[int | None, tencent("CreateTime", "When it was created, Unix seconds.", optional=True)] = (
        None
    )
    is_public_visible: Annotated[
        bool | None, tencent("IsPublicVisible", "Whether everybody can see it.", optional=True)
    ] = None
    cover_url: Annotated[str | None, tencent("CoverURL", "Its picture.", optional=True)] = None
    category: Annotated[list[int] | None, tencent("Category", "The app's codes for its kind.", optional=True)] = None
    activity_status: Annotated[
        int | None, tencent("ActivityStatus", "The app's code for what goes on in it.", optional=True)
    ] = None


Room = Annotated[RoomInfo | None, tencent("RoomInfo", "The room.")]


class LiveRoomCreated(Data, frozen=True):
    """A live room was created."""

    callback = Callback(
        command="Live.CallbackAfterCreateRoom",
        type="im.live.room.created",
        subject=("room_info.room_id",),
        identity=("room_info.room_id", "room_info.create_time", "event_time?"),
        identity_reason="A room is created once in a second, and may be created anew under its old id later.",
        source="647/64422",
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


class Metadata(Part, frozen=True):
    """A key and value of the app with a room."""

    key: Annotated[str | None, tencent("Key", "The key.")] = None
    value: Annotated[str | None, tencent("Value", "The value.")] = None


class MetadataSet(Data, frozen=True):
    """Metadata of a live room was set."""

    callback = Callback(
        command="Live.CallbackAfterSetMetadata",
        type="im.live.metadata.set",
        subject=("room_id",),
        identity=("room_id", "metadata.key", "event_time", "operator_account?", "metadata.value?"),
        identity_reason="It may be set several times in one millisecond: who did it and what it is now tells these"
        " apart.",
        source="647/68222",
    )

    operator_account: fields.OperatorAccount = None
    room_id: fields.RoomId = None
    metadata: Annotated[list[Metadata] | None, tencent("Metadata", "What was set.")] = None


class MetadataDeleted(Data, frozen=True):
    """Metadata of a live room was deleted."""

    callback = Callback(
        command="Live.CallbackAfterDelMetadata",
        type="im.live.metadata.deleted",
        subject=("room_id",),
        identity=("room_id", "keys", "event_time"),
        identity_reason="Nothing can be deleted twice in a millisecond without being set between.",
        source="647/68223",
    )

    operator_account: fields.OperatorAccount = None
    room_id: fields.RoomId = None
    keys: Annotated[list[str] | None, tencent("Keys", "The keys that are gone.")] = None


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
    room_count: Annotated[int | None, tencent("CurRoomCount", "How many there are.")] = None
    max_room_count: Annotated[int | None, tencent("MaxRoomCount", "How many there may be.")] = None


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
    cause: Annotated[str | None, tencent("EventCause", "Why, e.g. `Enter` or `HeartbeatInterrupt`.")] = None
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


class Gift(Part, frozen=True):
    """A gift."""

    from_account: Annotated[str | None, tencent("From_Account", "Who gives.")] = None
    to_accounts: Annotated[list[str] | None, tencent("To_Account", "Who receives.")] = None
    gift_time: Annotated[int | None, tencent("Time", "When, Unix seconds.")] = None
    gift_id: Annotated[str | None, tencent("GiftId", "The kind of gift.")] = None
    count: Annotated[int | None, tencent("Count", "How many.")] = None
    coins: Annotated[int | None, tencent("Coins", "What it is worth.")] = None


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


class Seat(Part, frozen=True):
    """A seat of a room."""

    index: Annotated[int | None, tencent("Index", "Its number.")] = None
    member_account: Annotated[
        str | None, tencent("Member_Account", "Who sits there; absent if nobody does.", optional=True)
    ] = None
    is_taken_disabled: Annotated[bool | None, tencent("IsTakenDisabled", "Whether it may not be taken.")] = None
    is_video_disabled: Annotated[bool | None, tencent("IsVideoDisabled", "Whether it may not send video.")] = None
    is_audio_disabled: Annotated[bool | None, tencent("IsAudioDisabled", "Whether it may not send audio.")] = None


class SeatsChanged(Data, frozen=True):
    """The seats of a room changed."""

    callback = Callback(
        command="Mic.CallbackAfterSeatInfoChanged",
        type="im.mic.seats.changed",
        subject=("room_id",),
        identity=("room_id", "event_time", "operator_account?", "seat_list?"),
        identity_reason="Several seats may change in one millisecond: who did it and how the seats are now tells"
        " these apart.",
        source="647/64425, 647/60736",
    )

    operator_account: Annotated[str | None, tencent("Operator_Account", "Who did it.", optional=True)] = None
    room_id: fields.RoomId = None
    seat_list: Annotated[list[Seat] | None, tencent("SeatList", "The seats.")] = None


class MeetingRoomCreated(Data, frozen=True):
    """A meeting room was created."""

    callback = Callback(
        command="Room.CallbackAfterCreateRoom",
        type="im.room.room.created",
        subject=("room_info.room_id",),
        identity=("room_info.room_id", "event_time"),
        identity_reason="A room is created once in a millisecond, and may be created anew under its old id later.",
        source="647/60733",
    )

    operator_account: fields.OperatorAccount = None
    room_info: Room = None
    schedule_invitee_list_account: Annotated[
        list[str] | None, tencent("ScheduleInviteeList_Account", "Who is invited to the meeting.", optional=True)
    ] = None


class MeetingRoomChanged(Data, frozen=True):
    """The description of a meeting room changed."""

    callback = Callback(
        command="Room.CallbackAfterUpdateRoomInfo",
        type="im.room.room.changed",
        subject=("room_info.room_id",),
        identity=("room_info.room_id", "event_time", "operator_account?", "room_info?"),
        identity_reason="It may be changed several times in one millisecond: who did it and what it is now tells"
        " these apart.",
        source="647/60731",
    )

    operator_account: fields.OperatorAccount = None
    room_info: Room = None
