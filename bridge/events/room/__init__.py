"""Live rooms and meeting rooms: the room itself, its members, seats, battles and gifts."""

from bridge.events.room.battles import BattleCreated, BattleEnded, BattleRoom, BattleStarted
from bridge.events.room.info import RoomInfo, RoomStatistic
from bridge.events.room.live import (
    Gift,
    GiftSendRequested,
    LiveAdminsChanged,
    LiveMemberStateChanged,
    LiveOwnerChanged,
    LiveRoomChanged,
    LiveRoomCreated,
    LiveRoomDestroyed,
    RoomQuotaApproached,
)
from bridge.events.room.meeting import (
    MeetingMembersEntered,
    MeetingMembersLeft,
    MeetingRoomChanged,
    MeetingRoomCreated,
    MeetingRoomDestroyed,
)
from bridge.events.room.metadata import Metadata, MetadataDeleted, MetadataSet
from bridge.events.room.old import (
    OldMemberEntered,
    OldMemberLeft,
    OldRoleChanged,
    OldRoomChanged,
    OldRoomCreated,
    OldRoomDestroyed,
    OldRoomInfo,
    OldSeatLeft,
    OldSeatTaken,
)
from bridge.events.room.seats import Seat, SeatsChanged

__all__ = [
    "BattleCreated",
    "BattleEnded",
    "BattleRoom",
    "BattleStarted",
    "Gift",
    "GiftSendRequested",
    "LiveAdminsChanged",
    "LiveMemberStateChanged",
    "LiveOwnerChanged",
    "LiveRoomChanged",
    "LiveRoomCreated",
    "LiveRoomDestroyed",
    "MeetingMembersEntered",
    "MeetingMembersLeft",
    "MeetingRoomChanged",
    "MeetingRoomCreated",
    "MeetingRoomDestroyed",
    "Metadata",
    "MetadataDeleted",
    "MetadataSet",
    "OldMemberEntered",
    "OldMemberLeft",
    "OldRoleChanged",
    "OldRoomChanged",
    "OldRoomCreated",
    "OldRoomDestroyed",
    "OldRoomInfo",
    "OldSeatLeft",
    "OldSeatTaken",
    "RoomInfo",
    "RoomQuotaApproached",
    "RoomStatistic",
    "Seat",
    "SeatsChanged",
]
