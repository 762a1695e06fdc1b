"""Meeting rooms, as the older webhook of the room component tells of them: its commands stand in `command` of the URL.

We could not read the pages of three of its commands. Of these, the fields that their kin have are typed, and whatever
else comes is passed on.
"""

from __future__ import annotations

from typing import Annotated

from bridge.events import fields
from bridge.events.base import Callback, Data, Part, Reply, tencent

UserId = Annotated[str | None, tencent("UserId", "Who did it.")]
PossibleUserId = Annotated[str | None, tencent("UserId", "Who did it.", optional=True)]
PossibleRoomId = Annotated[str | None, tencent("RoomId", "The room.", optional=True)]
UserRole = Annotated[
    int | None, tencent("UserRole", "0: owner; 1: administrator; 2: an ordinary member.", optional=True)
]
SeatCount = Annotated[int | None, tencent("SeatCount", "How many seats there are.", optional=True)]
NO_PAGE = "We could not read the page of its body, so that we know nothing to be in it."


class OldRoomInfo(Part, frozen=True):
    """A room. Pages differ in the names of what is disabled."""

    room_name: Annotated[str | None, tencent("RoomName", "Its name.", optional=True)] = None
    room_type_code: Annotated[int | None, tencent("RoomType", "Its kind, a code.", optional=True)] = None
    speech_mode: Annotated[int | None, tencent("SpeechMode", "Who may speak, a code.", optional=True)] = None
    is_video_disabled: Annotated[
        bool | None,
        tencent("VideoDisable", "Whether members may not send video.", "DisableVideo", optional=True),
    ] = None
    is_audio_disabled: Annotated[
        bool | None,
        tencent("AudioDisable", "Whether members may not send audio.", "DisableAudio", optional=True),
    ] = None
    is_message_disabled: Annotated[
        bool | None,
        tencent("MessageDisable", "Whether members may not write.", "DisableMessage", optional=True),
    ] = None
    max_seat_count: Annotated[int | None, tencent("MaxSeatCount", "How many seats it has.", optional=True)] = None


OldRoom = Annotated[OldRoomInfo | None, tencent("RoomInfo", "The room.", optional=True)]


class OldRoomCreated(Data, frozen=True):
    """A meeting room was created, as the older webhook tells. We could not read the page of its body."""

    callback = Callback(
        command="createRoom",
        type="im.room.old_room.created",
        subject=("room_id",),
        identity=(),
        exact=False,
        identity_reason=NO_PAGE,
        source="1690/92690",
        reply=Reply.ERROR_MESSAGE,
        is_open=True,
    )

    user_account: PossibleUserId = None
    room_id: PossibleRoomId = None
    room_info: OldRoom = None


class OldRoomDestroyed(Data, frozen=True):
    """A meeting room was dissolved, as the older webhook tells."""

    callback = Callback(
        command="destroyRoom",
        type="im.room.old_room.destroyed",
        subject=("room_id",),
        identity=("room_id", "event_time"),
        identity_reason="A room is dissolved once, and may be created anew under its old id and dissolved later.",
        source="1690/92698",
        reply=Reply.ERROR_MESSAGE,
    )

    user_account: UserId = None
    room_id: fields.RoomId = None


class OldRoomChanged(Data, frozen=True):
    """The description of a meeting room changed, as the older webhook tells."""

    callback = Callback(
        command="updateRoomInfo",
        type="im.room.old_room.changed",
        subject=("room_id",),
        identity=("room_id", "event_time", "user_account?", "room_info?"),
        identity_reason="It may be changed several times in one millisecond: who did it and what it is now tells"
        " these apart.",
        source="1690/92699",
        reply=Reply.ERROR_MESSAGE,
    )

    user_account: UserId = None
    room_id: fields.RoomId = None
    room_info: Annotated[OldRoomInfo | None, tencent("RoomInfo", "The room.")] = None


class OldMemberEntered(Data, frozen=True):
    """A user entered a meeting room, as the older webhook tells."""

    callback = Callback(
        command="enterRoom",
        type="im.room.old_member.entered",
        subject=("room_id",),
        identity=("room_id", "user_account", "event_time"),
        identity_reason="Nobody can enter twice in a millisecond without leaving between.",
        source="1690/92701",
        reply=Reply.ERROR_MESSAGE,
    )

    user_account: UserId = None
    room_id: fields.RoomId = None
    member_count: fields.MemberCount = None
    room_info: Annotated[OldRoomInfo | None, tencent("RoomInfo", "The room.")] = None


class OldMemberLeft(Data, frozen=True):
    """A user left a meeting room, as the older webhook tells."""

    callback = Callback(
        command="exitRoom",
        type="im.room.old_member.left",
        subject=("room_id",),
        identity=("room_id", "user_account", "event_time"),
        identity_reason="Nobody can leave twice in a millisecond without entering between.",
        source="1690/92702",
        reply=Reply.ERROR_MESSAGE,
    )

    user_account: UserId = None
    room_id: fields.RoomId = None
    member_count: fields.MemberCount = None
    user_role: UserRole = None
    exit_reason: Annotated[str | None, tencent("ExitReason", "Why, a text.", optional=True)] = None


class OldRoleChanged(Data, frozen=True):
    """A user has another role in a meeting room, as the older webhook tells. We could not read the page of its body."""

    callback = Callback(
        command="updateUserRole",
        type="im.room.old_role.changed",
        subject=("room_id",),
        identity=(),
        exact=False,
        identity_reason=NO_PAGE,
        source="1690/92690",
        reply=Reply.ERROR_MESSAGE,
        is_open=True,
    )

    user_account: Annotated[str | None, tencent("UserId", "Who did it, or whose role it is.", optional=True)] = None
    room_id: PossibleRoomId = None
    user_role: UserRole = None


class OldSeatTaken(Data, frozen=True):
    """A user took a seat in a meeting room, as the older webhook tells. We could not read the page of its body."""

    callback = Callback(
        command="takeSeat",
        type="im.room.old_seat.taken",
        subject=("room_id",),
        identity=(),
        exact=False,
        identity_reason=NO_PAGE,
        source="1690/92690",
        reply=Reply.ERROR_MESSAGE,
        is_open=True,
    )

    user_account: PossibleUserId = None
    room_id: PossibleRoomId = None
    seat_count: SeatCount = None


class OldSeatLeft(Data, frozen=True):
    """A user left a seat in a meeting room, as the older webhook tells."""

    callback = Callback(
        command="leaveSeat",
        type="im.room.old_seat.left",
        subject=("room_id",),
        identity=("room_id", "user_account", "event_time"),
        identity_reason="Nobody can leave a seat twice in a millisecond without taking one between.",
        source="1690/92706",
        reply=Reply.ERROR_MESSAGE,
    )

    user_account: UserId = None
    room_id: fields.RoomId = None
    seat_count: SeatCount = None
