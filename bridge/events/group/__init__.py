"""Groups: their messages, members, and settings."""

from bridge.events.group.admission import (
    CreationRequested,
    GroupCreated,
    InvitationRequested,
    JoinRequested,
    MembersJoined,
    MembersLeft,
)
from bridge.events.group.messages import (
    GroupMessage,
    MessageExtensionChanged,
    MessageModified,
    MessageReceipt,
    MessageRejected,
    MessageSendRequested,
    MessageSent,
    MessagesRecalled,
    ReadReceiptsSent,
)
from bridge.events.group.state import (
    Attribute,
    AttributesChanged,
    DailyQuotaApproached,
    GroupDestroyed,
    GroupFilled,
    InfoChanged,
    MemberChanged,
    MemberStateChanged,
    OwnerChanged,
)
from bridge.events.group.topics import (
    TopicCreated,
    TopicCreationRequested,
    TopicInfoChanged,
    TopicsDestroyed,
)

__all__ = [
    "Attribute",
    "AttributesChanged",
    "CreationRequested",
    "DailyQuotaApproached",
    "GroupCreated",
    "GroupDestroyed",
    "GroupFilled",
    "GroupMessage",
    "InfoChanged",
    "InvitationRequested",
    "JoinRequested",
    "MemberChanged",
    "MemberStateChanged",
    "MembersJoined",
    "MembersLeft",
    "MessageExtensionChanged",
    "MessageModified",
    "MessageReceipt",
    "MessageRejected",
    "MessageSendRequested",
    "MessageSent",
    "MessagesRecalled",
    "OwnerChanged",
    "ReadReceiptsSent",
    "TopicCreated",
    "TopicCreationRequested",
    "TopicInfoChanged",
    "TopicsDestroyed",
]
