"""The seats of live and meeting rooms."""

from __future__ import annotations

from typing import Annotated

from bridge.events import fields
from bridge.events.base import Callback, Data, Part, tencent


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
