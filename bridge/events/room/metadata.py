"""Keys and values that the app attaches to a live room."""

from __future__ import annotations

from typing import Annotated

from bridge.events import fields
from bridge.events.base import Callback, Data, Part, tencent


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
    """Metadata of a live room was deleted. Its page prints the URL of Live.CallbackAfterSetMetadata, probably by
    mistake: a callback under that URL which has `Keys` and no `Metadata` is taken for this one."""

    callback = Callback(
        command="Live.CallbackAfterDelMetadata",
        type="im.live.metadata.deleted",
        subject=("room_id",),
        identity=("room_id", "keys", "event_time"),
        identity_reason="Nothing can be deleted twice in a millisecond without being set between.",
        source="647/68223",
        printed_under="Live.CallbackAfterSetMetadata",
        told_by="Keys",
    )

    operator_account: fields.OperatorAccount = None
    room_id: fields.RoomId = None
    keys: Annotated[list[str] | None, tencent("Keys", "The keys that are gone.")] = None
