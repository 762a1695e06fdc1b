"""Fields that mean the same in many callbacks: one name, one type, one meaning.

Callbacks that share most of their fields, such as a message before and after it is sent, list them all the same. A base
class could hold only what stands at the beginning, since its fields come first, and in the documents they stand between
those of the one callback alone: half a list here and half there would be harder to compare with the documentation."""

from __future__ import annotations

from typing import Annotated, Any

from bridge.events.base import Part, tencent

OperatorAccount = Annotated[str | None, tencent("Operator_Account", "Who did it.")]
OwnerAccount = Annotated[str | None, tencent("Owner_Account", "The owner.")]
GroupId = Annotated[str | None, tencent("GroupId", "The group.")]
GroupType = Annotated[str | None, tencent("Type", "Kind of group, e.g. `Public`.")]
TopicId = Annotated[str | None, tencent("TopicId", "The topic of the community, if in one.", optional=True)]
MessageSender = Annotated[str | None, tencent("From_Account", "Sender of the message.")]
MessageReceiver = Annotated[str | None, tencent("To_Account", "Receiver of the message.")]
MsgKey = Annotated[str | None, tencent("MsgKey", "Id of the message, unique with sender and receiver.")]
SentMsgKey = Annotated[
    str | None, tencent("MsgKey", "Id of the message, unique with sender and receiver.", optional=True)
]
MsgId = Annotated[str | None, tencent("MsgId", "Id of the message as client SDKs know it.", optional=True)]
MsgTime = Annotated[int | None, tencent("MsgTime", "When it was sent, Unix seconds.")]
C2CMsgSeq = Annotated[int | None, tencent("MsgSeq", "Sequence number, unsigned 32 bits, chosen by the sender.")]
C2CMsgRandom = Annotated[int | None, tencent("MsgRandom", "Random number, unsigned 32 bits, chosen by the sender.")]
GroupMsgSeq = Annotated[int | None, tencent("MsgSeq", "Number of the message, in the order of the group or topic.")]
GroupMsgRandom = Annotated[int | None, tencent("Random", "Random number, unsigned 32 bits, chosen by the sender.")]
MsgPriority = Annotated[
    str | None,
    tencent("MsgPriority", "How urgent it is, e.g. `Normal`; seen in captured traffic, on no page.", optional=True),
]
OnlineOnly = Annotated[
    bool | None, tencent("OnlineOnlyFlag", "Whether it goes to online devices only and is not stored.", optional=True)
]
MsgBody = Annotated[list[Any] | None, tencent("MsgBody", "The message's elements, as the platform has them.")]
CloudCustomData = Annotated[
    str | None, tencent("CloudCustomData", "The app's own data with the message.", optional=True)
]
SupportMessageExtension = Annotated[
    bool | None,
    tencent(
        "SupportMessageExtension",
        "Whether the message may have extensions, as where one is sent by REST; seen in callbacks, on none of their"
        " pages.",
        optional=True,
    ),
]
SyncOtherMachine = Annotated[
    int | None,
    tencent(
        "SyncOtherMachine",
        "1: the sender's own devices get it too; 2: they do not, as where one is sent by REST; seen in callbacks, on"
        " none of their pages.",
        optional=True,
    ),
]
SendMsgResult = Annotated[int | None, tencent("SendMsgResult", "0: delivered; else the error code.", optional=True)]
SendErrorInfo = Annotated[str | None, tencent("ErrorInfo", "Text for `send_msg_result`.", optional=True)]
OperateType = Annotated[int | None, tencent("OperateType", "1: set; 2: deleted; 3: all deleted.")]
ExtensionSeq = Annotated[int | None, tencent("Seq", "Version of the message's extensions after the change.")]
Name = Annotated[str | None, tencent("Name", "The name.")]
ChangedName = Annotated[str | None, tencent("Name", "The new name, if it changed.", optional=True)]
ChangedIntroduction = Annotated[
    str | None, tencent("Introduction", "The new introduction, if it changed.", optional=True)
]
ChangedNotification = Annotated[str | None, tencent("Notification", "The new notice, if it changed.", optional=True)]
ChangedFaceUrl = Annotated[str | None, tencent("FaceUrl", "The new avatar, if it changed.", optional=True)]
RoomId = Annotated[str | None, tencent("RoomId", "The room.")]
MemberCount = Annotated[int | None, tencent("MemberCount", "How many are in the room.")]
RoomIdType = Annotated[int | None, tencent("RoomIdType", "1: the room's id is a number; 2: it is text.")]
CallId = Annotated[str | None, tencent("CallId", "The call.")]


class Member(Part, frozen=True):
    """A member of a group or room."""

    member_account: Annotated[str | None, tencent("Member_Account", "The member.")] = None


class Extension(Part, frozen=True):
    """A key and value that users attached to a message."""

    key: Annotated[str | None, tencent("Key", "The key.")] = None
    value: Annotated[str | None, tencent("Value", "The value; empty where deleted.")] = None
    seq: Annotated[int | None, tencent("Seq", "Version of the extension.")] = None


class UserDefinedData(Part, frozen=True):
    """A custom field of a group or topic."""

    key: Annotated[str | None, tencent("Key", "The field.")] = None
    value: Annotated[str | None, tencent("Value", "Its value.")] = None


ExtensionList = Annotated[list[Extension] | None, tencent("ExtensionList", "The extensions it is about.")]
UserDefinedDataList = Annotated[
    list[UserDefinedData] | None, tencent("UserDefinedDataList", "Custom fields.", optional=True)
]
