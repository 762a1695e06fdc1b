"""One-to-one messages."""

from __future__ import annotations

from typing import Annotated, Any

from bridge.events.contract import Callback, Data, Part, tencent


class MessageRecalled(Data, frozen=True, kw_only=True, omit_defaults=True):
    """A one-to-one message was recalled, by a user or by an administrator."""

    callback = Callback(
        command="C2C.CallbackAfterMsgWithDraw",
        type="im.c2c.message.recalled",
        subject="to_account",
        identity=("from_account", "to_account", "msg_key"),
        source="269/61697, 1047/43466",
    )

    from_account: Annotated[
        str | None, tencent("From_Account", "Sender of the message, not always who recalled it.")
    ] = None
    to_account: Annotated[str | None, tencent("To_Account", "Receiver of the message.")] = None
    msg_key: Annotated[str | None, tencent("MsgKey", "Id of the message, unique with sender and receiver.")] = None
    unread_total: Annotated[
        int | None,
        tencent("UnreadMsgNum", "Unread one-to-one messages of the receiver. The China site does not send it."),
    ] = None


class MessageSent(Data, frozen=True, kw_only=True, omit_defaults=True):
    """A one-to-one message was sent, or its delivery failed (`send_msg_result` other than 0)."""

    callback = Callback(
        command="C2C.CallbackAfterSendMsg",
        type="im.c2c.message.sent",
        subject="to_account",
        identity=("from_account", "to_account", "msg_key"),
        source="1047/34365",
    )

    from_account: Annotated[str | None, tencent("From_Account", "Sender of the message.")] = None
    to_account: Annotated[str | None, tencent("To_Account", "Receiver of the message.")] = None
    msg_seq: Annotated[int | None, tencent("MsgSeq", "Sequence number, unsigned 32 bits, chosen by the sender.")] = None
    msg_random: Annotated[
        int | None, tencent("MsgRandom", "Random number, unsigned 32 bits, chosen by the sender.")
    ] = None
    msg_time: Annotated[int | None, tencent("MsgTime", "When it was sent, Unix seconds.")] = None
    msg_key: Annotated[str | None, tencent("MsgKey", "Id of the message, unique with sender and receiver.")] = None
    online_only: Annotated[
        bool | None, tencent("OnlineOnlyFlag", "Whether it goes to online devices only and is not stored.")
    ] = None
    send_msg_result: Annotated[int | None, tencent("SendMsgResult", "0: delivered; else the error code.")] = None
    error_info: Annotated[str | None, tencent("ErrorInfo", "Text for `send_msg_result`.")] = None
    unread_total: Annotated[
        int | None,
        tencent("UnreadMsgNum", "Unread one-to-one messages of the receiver; -1 where the delivery failed."),
    ] = None
    msg_body: Annotated[list[Any] | None, tencent("MsgBody", "The message's elements, as the platform has them.")] = (
        None
    )
    cloud_custom_data: Annotated[str | None, tencent("CloudCustomData", "The app's own data with the message.")] = None


class ConversationRead(Data, frozen=True, kw_only=True, omit_defaults=True):
    """A user read a one-to-one conversation up to a time."""

    callback = Callback(
        command="C2C.CallbackAfterMsgReport",
        type="im.c2c.conversation.read",
        subject="report_account",
        identity=("report_account", "peer_account", "last_read_time", "event_time"),
        source="269/61696, 1047/43465",
    )

    report_account: Annotated[str | None, tencent("Report_Account", "Who read.")] = None
    peer_account: Annotated[str | None, tencent("Peer_Account", "Whose messages were read.")] = None
    last_read_time: Annotated[
        int | None, tencent("LastReadTime", "Everything up to this time is read, Unix seconds.")
    ] = None
    unread_total: Annotated[
        int | None,
        tencent("UnreadMsgNum", "Unread one-to-one messages of who read. The China site does not send it."),
    ] = None


class GroupRead(Part, frozen=True, kw_only=True, omit_defaults=True):
    """How far a group was read."""

    group_id: Annotated[str | None, tencent("GroupId", "The group.")] = None
    msg_seq: Annotated[int | None, tencent("MsgSeq", "Everything up to this message is read.")] = None


class AllConversationsRead(Data, frozen=True, kw_only=True, omit_defaults=True):
    """A user marked everything as read. Which kinds of conversation were meant is not documented."""

    callback = Callback(
        command="C2C.CallbackAfterMsgReadAll",
        type="im.c2c.all_conversations.read",
        subject="report_account",
        identity=("report_account", "event_time"),
        source="269/128225",
    )

    report_account: Annotated[str | None, tencent("Report_Account", "Who read.")] = None
    group_read_info: Annotated[list[GroupRead] | None, tencent("GroupReadInfo", "The groups among what was read.")] = (
        None
    )
