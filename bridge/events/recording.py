"""Recordings of live rooms and calls in the cloud, which the recording service reports through their webhooks."""

from __future__ import annotations

from typing import Annotated, Any

from bridge.events import fields
from bridge.events.base import Callback, Data, Part, tencent

EventGroupId = Annotated[int | None, tencent("EventGroupId", "3: recorded in the cloud; 8: a web page was recorded.")]
EventType = Annotated[int | None, tencent("EventType", "What happened to the recording, a code, e.g. 301: it began.")]
CallbackTs = Annotated[int | None, tencent("CallbackTs", "When the callback was sent, Unix milliseconds.")]
REASON = (
    "A task may tell of several files in one millisecond, which `callback_ts` tells apart. Whether a repetition has"
    " another one no page says; it counts as a new event then."
)


class RecordingInfo(Part, frozen=True):
    """An event of a recording."""

    room_id: fields.RoomId = None
    event_ts: Annotated[
        int | None, tencent("EventTs", "When it happened, Unix seconds.", optional=True, has_two_forms=True)
    ] = None
    event_ms_ts: Annotated[int | None, tencent("EventMsTs", "When it happened, Unix milliseconds.")] = None
    user_account: Annotated[str | None, tencent("UserId", "The robot that records.")] = None
    task_id: Annotated[str | None, tencent("TaskId", "The recording.")] = None
    recording_payload: Annotated[
        Any | None,
        tencent("Payload", "What the recording service tells of such an event, as it has it.", optional=True),
    ] = None


Info = Annotated[RecordingInfo | None, tencent("EventInfo", "The event of the recording.")]


class LiveRecordingChanged(Data, frozen=True):
    """The recording of a live room began, ended, or has files. `time` is that of the callback."""

    callback = Callback(
        command="Live.CallbackAfterCloudRecordingChanged",
        type="im.live.recording.changed",
        subject=("event_info.room_id",),
        identity=("event_info.task_id", "recording_event", "event_info.event_ms_ts", "callback_ts"),
        identity_reason=REASON,
        source="269/129603, 647/78428, 647/54914",
        aliases=("Follow.CallbackAfterCloudRecordingChanged",),
        time="callback_ts",
    )

    event_group_id: EventGroupId = None
    recording_event: EventType = None
    callback_ts: CallbackTs = None
    event_info: Info = None


class RecordingReport(Part, frozen=True):
    """What the recording service reports."""

    event_group_id: EventGroupId = None
    recording_event: EventType = None
    callback_ts: CallbackTs = None
    event_info: Info = None
    kit_type: Annotated[int | None, tencent("KitType", "The component, a code.", optional=True)] = None


class CallRecordingChanged(Data, frozen=True):
    """The recording of a call began, ended, or has files."""

    callback = Callback(
        command="Call.CallbackAfterRecordChanged",
        type="im.call.recording.changed",
        subject=("call_id",),
        identity=(
            "report.event_info.task_id",
            "report.recording_event",
            "report.event_info.event_ms_ts",
            "report.callback_ts",
        ),
        identity_reason=REASON.replace("`callback_ts`", "`report.callback_ts`"),
        source="647/80345, 647/131580",
        aliases=("Call.CallbackAfterCloudRecordingChanged",),
        time="report.callback_ts",
    )

    call_id: fields.CallId = None
    report: Annotated[RecordingReport | None, tencent("Callback", "What the recording service reports.")] = None
