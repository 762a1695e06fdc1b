"""One-to-one messages."""

from __future__ import annotations

from typing import Annotated

from bridge.events import answers, fields
from bridge.events.base import Callback, Data, EventTimePages, Part, Reply, tencent


class MessageSendRequested(Data, frozen=True):
    """A one-to-one message is about to be sent."""

    callback = Callback(
        command="C2C.CallbackBeforeSendMsg",
        type="im.c2c.message_send.requested",
        subject=("to_account",),
        identity=("from_account", "to_account", "msg_key"),
        identity_otherwise=("from_account", "to_account", "msg_seq", "msg_random", "msg_time"),
        identity_reason="The page calls MsgKey unique; senders choose its numbers, so both users count. Where it is"
        " absent, the three numbers take its place that it is made of in the pages' examples.",
        source="269/1632, 1047/34364",
        reply=Reply.ALLOW,
        answers=answers.C2C_MESSAGE,
    )

    from_account: fields.MessageSender = None
    to_account: fields.MessageReceiver = None
    msg_seq: fields.C2CMsgSeq = None
    msg_random: fields.C2CMsgRandom = None
    msg_time: fields.MsgTime = None
    msg_key: fields.SentMsgKey = None
    msg_id: fields.MsgId = None
    online_only: fields.OnlineOnly = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None
    support_message_extension: fields.SupportMessageExtension = None
    sync_other_machine: fields.SyncOtherMachine = None
    friendship: Annotated[
        int | None,
        tencent(
            "FriendShip",
            "A code; seen in captured traffic of 2018, on no page.",
            optional=True,
        ),
    ] = None


class MessageSent(Data, frozen=True):
    """A one-to-one message was sent, or its delivery failed (`send_msg_result` other than 0)."""

    callback = Callback(
        command="C2C.CallbackAfterSendMsg",
        type="im.c2c.message.sent",
        subject=("to_account",),
        identity=("from_account", "to_account", "msg_key", "send_msg_result?"),
        identity_otherwise=("from_account", "to_account", "msg_seq", "msg_random", "msg_time", "send_msg_result?"),
        identity_reason="The page calls MsgKey unique; senders choose its numbers, so both users count. Where it is"
        " absent, the three numbers take its place that it is made of in the pages' examples. A message whose delivery"
        " failed may be sent again under its own, so the result counts.",
        source="1047/34365",
    )

    from_account: fields.MessageSender = None
    to_account: fields.MessageReceiver = None
    msg_seq: fields.C2CMsgSeq = None
    msg_random: fields.C2CMsgRandom = None
    msg_time: fields.MsgTime = None
    msg_key: fields.SentMsgKey = None
    msg_id: fields.MsgId = None
    online_only: fields.OnlineOnly = None
    send_msg_result: fields.SendMsgResult = None
    error_info: fields.SendErrorInfo = None
    unread_total: Annotated[
        int | None,
        tencent(
            "UnreadMsgNum",
            "Unread one-to-one messages of the receiver; -1 where the delivery failed. Absent is not 0.",
            optional=True,
        ),
    ] = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None
    support_message_extension: fields.SupportMessageExtension = None
    sync_other_machine: fields.SyncOtherMachine = None


class ConversationRead(Data, frozen=True):
    """A user read a one-to-one conversation up to a time."""

    callback = Callback(
        command="C2C.CallbackAfterMsgReport",
        type="im.c2c.conversation.read",
        subject=("report_account",),
        identity=("report_account", "peer_account", "last_read_time", "event_time"),
        identity_reason="To read up to the same second twice in a millisecond says the same. The international page"
        " lacks EventTime: without it, nothing tells a user's next report from this one where a message came and was"
        " read within the second, for LastReadTime is in seconds and UnreadMsgNum is the same again.",
        event_time=EventTimePages.SOME,
        source="269/61696, 1047/43465",
    )

    report_account: Annotated[str | None, tencent("Report_Account", "Who read.")] = None
    peer_account: Annotated[str | None, tencent("Peer_Account", "Whose messages were read.")] = None
    last_read_time: Annotated[
        int | None, tencent("LastReadTime", "Everything up to this time is read, Unix seconds.")
    ] = None
    unread_total: Annotated[
        int | None,
        tencent(
            "UnreadMsgNum",
            "Unread one-to-one messages of who read. The international page has it, the China page in its table and not"
            " in its example: it may be absent whatever the site, and absent is not 0.",
            optional=True,
        ),
    ] = None


class MessageRecalled(Data, frozen=True):
    """A one-to-one message was recalled, by a user or by an administrator."""

    callback = Callback(
        command="C2C.CallbackAfterMsgWithDraw",
        type="im.c2c.message.recalled",
        subject=("to_account",),
        identity=("from_account", "to_account", "msg_key"),
        identity_reason="The page calls MsgKey unique, and a message can be recalled once: a second time is refused"
        " (20023).",
        source="269/61697, 1047/43466",
    )

    from_account: Annotated[
        str | None, tencent("From_Account", "Sender of the message, not always who recalled it.")
    ] = None
    to_account: fields.MessageReceiver = None
    msg_key: fields.MsgKey = None
    unread_total: Annotated[
        int | None,
        tencent(
            "UnreadMsgNum",
            "Unread one-to-one messages of the receiver. The international page has it, the China page had it in 2019"
            " and has EventTime in its place since 2023: it may be absent whatever the site, and absent is not 0.",
            optional=True,
        ),
    ] = None


class ReceiptedMessage(Part, frozen=True):
    """A message that was read."""

    from_account: fields.MessageSender = None
    to_account: fields.MessageReceiver = None
    msg_key: fields.MsgKey = None
    msg_id: Annotated[str | None, tencent("MsgId", "Id of the message as client SDKs know it.")] = None


class ReadReceiptSent(Data, frozen=True):
    """A user sent read receipts for one-to-one messages."""

    callback = Callback(
        command="C2C.CallbackAfterMsgReadReceipt",
        type="im.c2c.read_receipt.sent",
        subject=("operator_account",),
        identity=("operator_account", "peer_account", "c2c_msg_info.msg_key", "event_time"),
        identity_reason="Senders choose the numbers in MsgKey, so two of them may have used the same: both users"
        " count.",
        source="269/128223",
    )

    operator_account: Annotated[str | None, tencent("Operator_Account", "Who read.")] = None
    peer_account: Annotated[str | None, tencent("Peer_Account", "Who wrote the messages.")] = None
    c2c_msg_info: Annotated[list[ReceiptedMessage] | None, tencent("C2CMsgInfo", "The messages.")] = None


class MessageModified(Data, frozen=True):
    """A one-to-one message was changed after it had been sent."""

    callback = Callback(
        command="C2C.CallbackAfterModifyMsg",
        type="im.c2c.message.modified",
        subject=("to_account",),
        identity=("from_account", "to_account", "msg_key", "event_time", "operator_account?"),
        identity_reason="A message can be changed again and again: each change has its own millisecond, or was made"
        " by somebody else.",
        source="269/128224",
    )

    operator_account: fields.OperatorAccount = None
    from_account: fields.MessageSender = None
    to_account: fields.MessageReceiver = None
    msg_seq: fields.C2CMsgSeq = None
    msg_random: fields.C2CMsgRandom = None
    msg_time: fields.MsgTime = None
    msg_key: fields.MsgKey = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None


class GroupRead(Part, frozen=True):
    """How far a group was read."""

    group_id: fields.GroupId = None
    msg_seq: Annotated[int | None, tencent("MsgSeq", "Everything up to this message is read.")] = None


class AllConversationsRead(Data, frozen=True):
    """A user marked everything as read. Which kinds of conversation were meant is not documented."""

    callback = Callback(
        command="C2C.CallbackAfterMsgReadAll",
        type="im.c2c.all_conversations.read",
        subject=("report_account",),
        identity=("report_account", "event_time", "group_read_info.group_id?", "group_read_info.msg_seq?"),
        identity_reason="Two devices of a user may do it in one millisecond: how far each group was read tells them"
        " apart, or they say the same.",
        source="269/128225",
    )

    report_account: Annotated[str | None, tencent("Report_Account", "Who read.")] = None
    group_read_info: Annotated[
        list[GroupRead] | None, tencent("GroupReadInfo", "The groups among what was read.", optional=True)
    ] = None


class MessageExtensionChanged(Data, frozen=True):
    """Extensions of a one-to-one message were set or deleted."""

    callback = Callback(
        command="C2C.CallbackAfterC2CMsgExtension",
        type="im.c2c.message_extension.changed",
        subject=("to_account",),
        identity=("from_account", "to_account", "msg_key", "seq", "event_time", "operate_type?"),
        identity_reason="Seq is a version number; whether it starts again after all were deleted is not documented, so"
        " the time counts.",
        source="1047/76006",
    )

    from_account: fields.MessageSender = None
    to_account: fields.MessageReceiver = None
    msg_key: fields.MsgKey = None
    operate_type: fields.OperateType = None
    extension_list: fields.ExtensionList = None
    seq: fields.ExtensionSeq = None
