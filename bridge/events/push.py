"""Push notifications. One callback brings up to a hundred of them; each is an event of its own."""

from __future__ import annotations

from typing import Annotated

from bridge.events.base import Callback, Data, tencent

ToAccount = Annotated[str | None, tencent("To_Account", "Whose device it is.")]
PushPlatform = Annotated[int | None, tencent("PushPlatform", "The vendor's push service, a code.")]
DeviceType = Annotated[int | None, tencent("DeviceType", "The vendor of the device, a code.", optional=True)]
DataId = Annotated[str | None, tencent("DataId", "The app's own id, as it was given with the push.", optional=True)]
PushStage = Annotated[int | None, tencent("PushStage", "1: sent; 2: reached the device; 3: clicked.")]
ErrorCode = Annotated[int | None, tencent("ErrCode", "0: all is well; else what went wrong, a code.")]
ErrorInfo = Annotated[str | None, tencent("ErrInfo", "Text for `error_code`.")]

ONCE_ON_EACH_DEVICE = (
    "A push reaches a stage once on each device; of several devices of a user, the vendor's service, the vendor of the"
    " device and the time tell them apart. Two of one vendor in one second are taken for one: the body has nothing"
    " better."
)


class OfflinePushReported(Data, frozen=True):
    """The push of a message reached a stage."""

    callback = Callback(
        command="Push.OfflinePush",
        type="im.push.offline_push.reported",
        subject=("to_account",),
        identity=("push_id", "push_stage", "to_account", "push_platform?", "event_time?", "error_code?"),
        identity_later="device_type",
        identity_reason=ONCE_ON_EACH_DEVICE,
        source="269/102567, 1047/67552",
        batch="Events",
    )

    chat_type: Annotated[int | None, tencent("EventType", "1: a one-to-one message; 2: a group's.")] = None
    from_account: Annotated[str | None, tencent("From_Account", "Sender of the message.")] = None
    to_account: ToAccount = None
    push_platform: PushPlatform = None
    device_type: DeviceType = None
    push_stage: PushStage = None
    msg_key: Annotated[str | None, tencent("MsgKey", "The one-to-one message.", optional=True)] = None
    group_id: Annotated[str | None, tencent("GroupID", "The group of the message.", "GroupId", optional=True)] = None
    msg_seq: Annotated[int | None, tencent("MsgSeq", "Sequence number of the message.")] = None
    msg_random: Annotated[int | None, tencent("MsgRandom", "Random number of the message.", optional=True)] = None
    msg_time: Annotated[int | None, tencent("MsgTime", "When the message was sent, Unix seconds.")] = None
    push_id: Annotated[str | None, tencent("PushID", "Id of the push.")] = None
    data_id: DataId = None
    error_code: ErrorCode = None
    error_info: ErrorInfo = None


class AllMemberPushReported(Data, frozen=True):
    """The push to all members, or to those with some tag, reached a stage."""

    callback = Callback(
        command="Push.AllMemberPush",
        type="im.push.all_member_push.reported",
        subject=("to_account",),
        identity=("task_id", "to_account", "push_stage", "push_kind?", "push_platform?", "event_time?", "error_code?"),
        identity_later="device_type",
        identity_reason=ONCE_ON_EACH_DEVICE,
        source="269/102568, 269/108906, 1047/67551",
        batch="Events",
    )

    push_kind: Annotated[int | None, tencent("EventType", "1: offline push; 2: online push.")] = None
    task_id: Annotated[str | None, tencent("TaskId", "The push task.")] = None
    data_id: DataId = None
    task_time: Annotated[int | None, tencent("TaskTime", "When the task was created, Unix seconds.")] = None
    to_account: ToAccount = None
    push_platform: PushPlatform = None
    device_type: DeviceType = None
    push_stage: PushStage = None
    error_code: ErrorCode = None
    error_info: ErrorInfo = None
