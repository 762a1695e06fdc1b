"""Meeting rooms."""

from __future__ import annotations

from typing import Annotated

from bridge.events import fields
from bridge.events.base import Callback, Data, tencent
from bridge.events.room.info import Room


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
        source="647/60731, 269/105401",
        aliases=("Room.CallbackUpdateRoomInfo",),
    )

    operator_account: fields.OperatorAccount = None
    room_info: Room = None


class MeetingRoomDestroyed(Data, frozen=True):
    """A meeting room was dissolved."""

    callback = Callback(
        command="Room.CallbackAfterDestroyRoom",
        type="im.room.room.destroyed",
        subject=("room_id",),
        identity=("room_id", "event_time"),
        identity_reason="A room is dissolved once, and may be created anew under its old id and dissolved later.",
        source="647/60732, 269/105410",
    )

    operator_account: fields.OperatorAccount = None
    room_id: fields.RoomId = None


class MeetingMembersEntered(Data, frozen=True):
    """Users entered a meeting room."""

    callback = Callback(
        command="Room.CallbackAfterMemberEnter",
        type="im.room.members.entered",
        subject=("room_id",),
        identity=("room_id", "member_accounts", "event_time"),
        identity_reason="Nobody can enter twice in a millisecond without leaving between.",
        source="647/60735",
    )

    operator_account: fields.OperatorAccount = None
    room_id: fields.RoomId = None
    member_count: fields.MemberCount = None
    enter_type: Annotated[str | None, tencent("Type", "How, e.g. `Enter`.")] = None
    member_accounts: Annotated[list[str] | None, tencent("MemberList_Account", "Who entered.")] = None


class MeetingMembersLeft(Data, frozen=True):
    """Users left a meeting room."""

    callback = Callback(
        command="Room.CallbackAfterMemberLeave",
        type="im.room.members.left",
        subject=("room_id",),
        identity=("room_id", "member_accounts", "event_time", "leave_type?"),
        identity_reason="Nobody can leave twice in a millisecond without entering between.",
        source="647/60734, 269/105413",
    )

    operator_account: fields.OperatorAccount = None
    room_id: fields.RoomId = None
    member_count: fields.MemberCount = None
    leave_type: Annotated[str | None, tencent("Type", "How: `Leave`, `Kicked` or `Expired`.")] = None
    member_accounts: Annotated[list[str] | None, tencent("MemberList_Account", "Who left.")] = None
    reason: Annotated[str | None, tencent("Reason", "Why, a text.", optional=True)] = None
