"""Messages to bots. They can carry the unread count of a bot's account, so the account is their key."""

from __future__ import annotations

from typing import Annotated, Any

from bridge.events import answers, fields
from bridge.events.base import Callback, Data, Reply, tencent


class C2CMessageReceived(Data, frozen=True):
    """A bot was sent a one-to-one message."""

    callback = Callback(
        command="Bot.OnC2CMessage",
        type="im.bot.c2c_message.received",
        subject=("to_account", "from_account"),
        identity=("from_account", "to_account", "msg_key", "send_msg_result?"),
        identity_otherwise=("from_account", "to_account", "msg_seq", "msg_random", "msg_time", "send_msg_result?"),
        identity_reason="The page calls MsgKey unique; senders choose its numbers, so both users count. Where it is"
        " absent, the three numbers take its place that it is made of in the pages' examples. A message whose delivery"
        " failed may be sent again under its own, so the result counts.",
        source="1047/68952",
    )

    from_account: fields.MessageSender = None
    to_account: Annotated[str | None, tencent("To_Account", "The bot.")] = None
    msg_seq: fields.C2CMsgSeq = None
    msg_random: fields.C2CMsgRandom = None
    msg_time: fields.MsgTime = None
    msg_key: fields.MsgKey = None
    msg_id: fields.MsgId = None
    online_only: fields.OnlineOnly = None
    send_msg_result: fields.SendMsgResult = None
    error_info: fields.SendErrorInfo = None
    unread_total: Annotated[
        int | None,
        tencent(
            "UnreadMsgNum",
            "Unread one-to-one messages of the bot. An SDK has it, the example of the page has not.",
            optional=True,
        ),
    ] = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None
    support_message_extension: fields.SupportMessageExtension = None
    sync_other_machine: fields.SyncOtherMachine = None


class GroupMessageReceived(Data, frozen=True):
    """A bot was mentioned in a group; not by a mention of all members."""

    callback = Callback(
        command="Bot.OnGroupMessage",
        type="im.bot.group_message.received",
        subject=("group_id",),
        identity=("group_id", "from_account", "msg_random", "msg_seq", "msg_time", "topic_id?", "at_robots_account?"),
        identity_reason="MsgSeq counts stored messages only, so online-only ones of a second share it: sender and"
        " random number tell them apart. Several bots may be told of one message.",
        source="1047/68953",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    from_account: fields.MessageSender = None
    operator_account: fields.OperatorAccount = None
    msg_random: fields.GroupMsgRandom = None
    msg_id: fields.MsgId = None
    msg_seq: fields.GroupMsgSeq = None
    msg_time: fields.MsgTime = None
    online_only: fields.OnlineOnly = None
    at_robots_account: Annotated[list[str] | None, tencent("AtRobots_Account", "The bots that were mentioned.")] = None
    group_at_info: Annotated[
        list[Any] | None,
        tencent("GroupAtInfo", "Who was mentioned, as the platform has it; in an SDK, on no page.", optional=True),
    ] = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None
    topic_id: fields.TopicId = None
    support_message_extension: fields.SupportMessageExtension = None
    sync_other_machine: fields.SyncOtherMachine = None


class SignalMessageReceived(Data, frozen=True):
    """A chatbot was sent a signal, a message of the app's own."""

    callback = Callback(
        command="Chatbot.OnC2CSignalMessage",
        type="im.chatbot.signal_message.received",
        subject=("to_account", "from_account"),
        identity=("from_account", "to_account", "msg_key"),
        identity_reason="Other pages call MsgKey unique; senders choose its numbers, so both users count.",
        source="269/103730, 1047/59057",
        reply=Reply.DATA,
        answers=answers.SIGNAL,
    )

    from_account: fields.MessageSender = None
    to_account: Annotated[str | None, tencent("To_Account", "The chatbot.")] = None
    msg_seq: fields.C2CMsgSeq = None
    msg_random: fields.C2CMsgRandom = None
    msg_key: fields.MsgKey = None
    payload: Annotated[str | None, tencent("Data", "What the app passed on.")] = None
