"""Rooms and their numbers, as several callbacks describe them."""

from __future__ import annotations

from typing import Annotated

from bridge.events.base import Part, tencent

OptionalRoomId = Annotated[str | None, tencent("RoomId", "The room.", optional=True)]


class RoomInfo(Part, frozen=True):
    """A room. Of an update, only what changed is present."""

    room_id: OptionalRoomId = None
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
    view_count: Annotated[int | None, tencent("ViewCount", "How often it was entered.", optional=True)] = None
    background_url: Annotated[str | None, tencent("BackgroundURL", "The picture behind it.", optional=True)] = None
    is_unlimited_room_enabled: Annotated[
        bool | None, tencent("IsUnlimitedRoomEnabled", "Whether it is made for very many members.", optional=True)
    ] = None
    is_screen_sharing_disabled: Annotated[
        bool | None, tencent("IsScreenSharingDisabled", "Whether members may not share a screen.", optional=True)
    ] = None
    is_cloud_recording_disabled: Annotated[
        bool | None, tencent("IsCloudRecordingDisabled", "Whether it may not be recorded.", optional=True)
    ] = None
    schedule_start_time: Annotated[
        int | None, tencent("ScheduleStartTime", "When the meeting is to begin, Unix seconds.", optional=True)
    ] = None
    schedule_end_time: Annotated[
        int | None, tencent("ScheduleEndTime", "When the meeting is to end, Unix seconds.", optional=True)
    ] = None
    room_status: Annotated[str | None, tencent("RoomStatus", "`None`, `NotStarted` or `Running`.", optional=True)] = (
        None
    )
    event_time: Annotated[
        int | None,
        tencent("EventTime", "When it happened, Unix milliseconds: one page prints it in here.", optional=True),
    ] = None


class RoomStatistic(Part, frozen=True):
    """What happened in a live room until it was dissolved."""

    total_viewers: Annotated[int | None, tencent("TotalViewers", "How often it was entered.", optional=True)] = None
    total_gifts_sent: Annotated[int | None, tencent("TotalGiftsSent", "How many gifts were sent.", optional=True)] = (
        None
    )
    total_gift_coins: Annotated[int | None, tencent("TotalGiftCoins", "What these were worth.", optional=True)] = None
    total_unique_gift_senders: Annotated[
        int | None, tencent("TotalUniqueGiftSenders", "How many users sent one.", optional=True)
    ] = None
    total_likes_received: Annotated[
        int | None, tencent("TotalLikesReceived", "How many likes there were.", optional=True)
    ] = None


Room = Annotated[RoomInfo | None, tencent("RoomInfo", "The room.")]
