"""Messages of groups: sent, recalled, changed, read, rejected."""

from __future__ import annotations

from typing import Annotated, Any

from bridge.events import answers, fields
from bridge.events.base import Callback, Data, EventTimePages, Part, Reply, tencent


class MessageSendRequested(Data, frozen=True):
    """A message is about to be sent to a group."""

    callback = Callback(
        command="Group.CallbackBeforeSendMsg",
        type="im.group.message_send.requested",
        subject=("group_id",),
        identity=("group_id", "topic_id?", "from_account", "msg_random", "event_time"),
        identity_reason="There is no MsgSeq before a message is sent; its sender chooses the random number, and"
        " hardly uses it twice in a millisecond.",
        event_time=EventTimePages.SOME,
        source="269/1619, 1047/34374",
        reply=Reply.ALLOW,
        answers=answers.GROUP_MESSAGE,
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    from_account: fields.MessageSender = None
    operator_account: fields.OperatorAccount = None
    msg_random: fields.GroupMsgRandom = None
    msg_id: fields.MsgId = None
    msg_priority: fields.MsgPriority = None
    online_only: fields.OnlineOnly = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None
    topic_id: fields.TopicId = None
    support_message_extension: fields.SupportMessageExtension = None
    sync_other_machine: fields.SyncOtherMachine = None


class MessageSent(Data, frozen=True):
    """A message was sent to a group."""

    callback = Callback(
        command="Group.CallbackAfterSendMsg",
        type="im.group.message.sent",
        subject=("group_id",),
        identity=("group_id", "from_account", "msg_random", "msg_seq", "msg_time", "topic_id?"),
        identity_reason="MsgSeq counts stored messages only, so online-only ones of a second share it: sender and"
        " random number tell them apart. The time does where a group is created anew under its old id.",
        source="1047/34375",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    from_account: fields.MessageSender = None
    operator_account: fields.OperatorAccount = None
    msg_random: fields.GroupMsgRandom = None
    msg_id: fields.MsgId = None
    msg_seq: fields.GroupMsgSeq = None
    msg_time: fields.MsgTime = None
    msg_priority: fields.MsgPriority = None
    online_only: fields.OnlineOnly = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None
    topic_id: fields.TopicId = None
    group_at_info: Annotated[
        list[Any] | None,
        tencent("GroupAtInfo", "Who was mentioned, as the platform has it; in an SDK, on no page.", optional=True),
    ] = None
    support_message_extension: fields.SupportMessageExtension = None
    sync_other_machine: fields.SyncOtherMachine = None


class GroupMessage(Part, frozen=True):
    """A message of a group."""

    msg_seq: fields.GroupMsgSeq = None
    msg_id: fields.MsgId = None


class MessagesRecalled(Data, frozen=True):
    """Messages of a group were recalled."""

    callback = Callback(
        command="Group.CallbackAfterRecallMsg",
        type="im.group.messages.recalled",
        subject=("group_id",),
        identity=("group_id", "topic_id?", "msg_seq_list.msg_seq", "event_time"),
        identity_reason="A stored message has a MsgSeq of its own; the time tells two apart where a group is created"
        " anew under its old id.",
        event_time=EventTimePages.SOME,
        source="1047/46979",
    )

    operator_account: fields.OperatorAccount = None
    group_type: fields.GroupType = None
    group_id: fields.GroupId = None
    msg_seq_list: Annotated[list[GroupMessage] | None, tencent("MsgSeqList", "The messages.")] = None
    topic_id: fields.TopicId = None


class MessageModified(Data, frozen=True):
    """A message of a group was changed after it had been sent."""

    callback = Callback(
        command="Group.CallbackAfterModifyMsg",
        type="im.group.message.modified",
        subject=("group_id",),
        identity=("group_id", "topic_id?", "msg_seq", "event_time", "operator_account?"),
        identity_reason="A stored message, known by its MsgSeq, can be changed again and again: each change has its"
        " own millisecond, or was made by somebody else.",
        source="269/129193",
    )

    operator_account: fields.OperatorAccount = None
    group_id: fields.GroupId = None
    topic_id: Annotated[str | None, tencent("TopicId", "The topic of the community; empty if in none.")] = None
    msg_seq: fields.GroupMsgSeq = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None


class MessageExtensionChanged(Data, frozen=True):
    """Extensions of a group's message were set or deleted."""

    callback = Callback(
        command="Group.CallbackAfterGroupMsgExtension",
        type="im.group.message_extension.changed",
        subject=("group_id",),
        identity=("group_id", "msg_seq", "seq", "event_time", "operate_type?"),
        identity_reason="Seq is a version number; whether it starts again after all were deleted is not documented, so"
        " the time counts.",
        source="1047/76007",
    )

    group_id: fields.GroupId = None
    msg_seq: fields.GroupMsgSeq = None
    operate_type: fields.OperateType = None
    extension_list: fields.ExtensionList = None
    seq: fields.ExtensionSeq = None


class MessageReceipt(Part, frozen=True):
    """Who has read a message."""

    msg_seq: fields.GroupMsgSeq = None
    members_read: Annotated[int | None, tencent("ReadNum", "How many members have read the message.")] = None
    members_unread: Annotated[
        int | None,
        tencent("UnreadNum", "How many members have not read the message; no user's unread count."),
    ] = None
    read_receipt_members: Annotated[
        list[fields.Member] | None, tencent("ReadReceiptMembers", "Who has read it just now.", optional=True)
    ] = None


class ReadReceiptsSent(Data, frozen=True):
    """Members of a group sent read receipts."""

    callback = Callback(
        command="Group.CallbackAfterReadReceipt",
        type="im.group.read_receipts.sent",
        subject=("group_id",),
        identity=(
            "group_id",
            "group_msg_receipt_list.msg_seq",
            "group_msg_receipt_list.members_read?",
            "event_time",
            "group_msg_receipt_list.read_receipt_members.member_account?",
        ),
        identity_reason="Many members may read the same messages in one millisecond: who they were and how many had"
        " read by then tells them apart.",
        source="1047/60395",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    group_msg_receipt_list: Annotated[
        list[MessageReceipt] | None, tencent("GroupMsgReceiptList", "The messages that were read.")
    ] = None


class MessageRejected(Data, frozen=True):
    """A message to a group was refused by the platform."""

    callback = Callback(
        command="Group.CallbackSendMsgException",
        type="im.group.message.rejected",
        subject=("group_id",),
        identity=("group_id", "topic_id?", "from_account", "msg_random", "event_time", "error_code?"),
        identity_reason="There is no MsgSeq for a message that was refused; its sender chooses the random number, and"
        " hardly uses it twice in a millisecond.",
        event_time=EventTimePages.SOME,
        source="1047/49462",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    from_account: fields.MessageSender = None
    operator_account: fields.OperatorAccount = None
    msg_random: fields.GroupMsgRandom = None
    online_only: fields.OnlineOnly = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None
    error_code: Annotated[int | None, tencent("ErrorCode", "Why it was refused, a code.")] = None
    error_info: Annotated[str | None, tencent("ErrorInfo", "Text for `error_code`.")] = None
    topic_id: fields.TopicId = None
