"""Groups: their messages, members, and settings."""

from __future__ import annotations

from typing import Annotated, Any

from bridge.events import fields
from bridge.events.base import Callback, Data, Part, Reply, tencent


class CreationRequested(Data, frozen=True):
    """A group is about to be created."""

    callback = Callback(
        command="Group.CallbackBeforeCreateGroup",
        type="im.group.creation.requested",
        subject=("operator_account", "owner_account"),
        identity=(),
        exact=False,
        source="1047/34368",
        reply=Reply.ALLOW,
    )

    operator_account: fields.OperatorAccount = None
    owner_account: fields.OwnerAccount = None
    group_type: fields.GroupType = None
    name: fields.Name = None
    create_group_num: Annotated[
        int | None,
        tencent(
            "CreateGroupNum", "How many groups of this kind the user has created.", "CreatedGroupNum", "CreatedNum"
        ),
    ] = None
    member_list: Annotated[list[fields.Member] | None, tencent("MemberList", "The first members.")] = None


class GroupCreated(Data, frozen=True):
    """A group was created."""

    callback = Callback(
        command="Group.CallbackAfterCreateGroup",
        type="im.group.group.created",
        subject=("group_id",),
        identity=("group_id", "event_time"),
        source="1047/34369",
    )

    group_id: fields.GroupId = None
    operator_account: fields.OperatorAccount = None
    owner_account: fields.OwnerAccount = None
    group_type: fields.GroupType = None
    name: fields.Name = None
    member_list: Annotated[list[fields.Member] | None, tencent("MemberList", "The first members.")] = None
    user_defined_data_list: fields.UserDefinedDataList = None


class JoinRequested(Data, frozen=True):
    """A user asks to join a group."""

    callback = Callback(
        command="Group.CallbackBeforeApplyJoinGroup",
        type="im.group.join.requested",
        subject=("group_id",),
        identity=("group_id", "requester_account", "event_time"),
        source="1047/34370",
        reply=Reply.ALLOW,
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    requester_account: Annotated[str | None, tencent("Requestor_Account", "Who asked for it.", "Requester_Account")] = (
        None
    )


class InvitationRequested(Data, frozen=True):
    """Users are about to be invited into a group."""

    callback = Callback(
        command="Group.CallbackBeforeInviteJoinGroup",
        type="im.group.invitation.requested",
        subject=("group_id",),
        identity=("group_id", "operator_account", "destination_members.member_account", "event_time"),
        source="1047/34371",
        reply=Reply.ALLOW,
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    operator_account: fields.OperatorAccount = None
    destination_members: Annotated[
        list[fields.Member] | None, tencent("DestinationMembers", "Who is to be invited.")
    ] = None


class MembersJoined(Data, frozen=True):
    """Users became members of a group."""

    callback = Callback(
        command="Group.CallbackAfterNewMemberJoin",
        type="im.group.members.joined",
        subject=("group_id",),
        identity=("group_id", "new_member_list.member_account", "event_time"),
        source="1047/34372",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    join_type: Annotated[str | None, tencent("JoinType", "`Apply` or `Invited`.")] = None
    operator_account: fields.OperatorAccount = None
    new_member_list: Annotated[list[fields.Member] | None, tencent("NewMemberList", "The new members.")] = None


class MembersLeft(Data, frozen=True):
    """Members left a group or were removed from it."""

    callback = Callback(
        command="Group.CallbackAfterMemberExit",
        type="im.group.members.left",
        subject=("group_id",),
        identity=("group_id", "exit_member_list.member_account", "event_time"),
        source="1047/34373",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    exit_type: Annotated[str | None, tencent("ExitType", "`Kicked` or `Quit`.")] = None
    operator_account: Annotated[
        str | None,
        tencent("Operator_Account", "Who removed them, or who left; the documentation contradicts itself."),
    ] = None
    exit_member_list: Annotated[list[fields.Member] | None, tencent("ExitMemberList", "Who is gone.")] = None


class MessageSendRequested(Data, frozen=True):
    """A message is about to be sent to a group."""

    callback = Callback(
        command="Group.CallbackBeforeSendMsg",
        type="im.group.message_send.requested",
        subject=("group_id",),
        identity=("group_id", "topic_id?", "from_account", "msg_random", "event_time"),
        source="1047/34374",
        reply=Reply.ALLOW,
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    from_account: fields.MessageSender = None
    operator_account: fields.OperatorAccount = None
    msg_random: fields.GroupMsgRandom = None
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
        # A group with an id of the app's choice can be created anew, and counts its messages from 1 then.
        identity=("group_id", "topic_id?", "msg_seq", "msg_time"),
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
    online_only: fields.OnlineOnly = None
    msg_body: fields.MsgBody = None
    cloud_custom_data: fields.CloudCustomData = None
    topic_id: fields.TopicId = None
    group_at_info: Annotated[
        list[Any] | None, tencent("GroupAtInfo", "Who was mentioned, as the platform has it.", optional=True)
    ] = None
    support_message_extension: fields.SupportMessageExtension = None
    sync_other_machine: fields.SyncOtherMachine = None


class GroupMessage(Part, frozen=True):
    """A message of a group."""

    msg_seq: fields.GroupMsgSeq = None


class MessagesRecalled(Data, frozen=True):
    """Messages of a group were recalled."""

    callback = Callback(
        command="Group.CallbackAfterRecallMsg",
        type="im.group.messages.recalled",
        subject=("group_id",),
        identity=("group_id", "topic_id?", "msg_seq_list.msg_seq", "event_time"),
        source="no list names it; the page about recalled group messages",
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
        identity=("group_id", "topic_id?", "msg_seq", "event_time"),
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
        identity=("group_id", "msg_seq", "seq", "event_time"),
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
        ),
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
        identity=("group_id", "topic_id?", "from_account", "msg_random", "event_time"),
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


class GroupFilled(Data, frozen=True):
    """A group has as many members as it can have."""

    callback = Callback(
        command="Group.CallbackAfterGroupFull",
        type="im.group.group.filled",
        subject=("group_id",),
        identity=("group_id", "event_time"),
        source="1047/34376",
    )

    group_id: fields.GroupId = None


class GroupDestroyed(Data, frozen=True):
    """A group was dissolved."""

    callback = Callback(
        command="Group.CallbackAfterGroupDestroyed",
        type="im.group.group.destroyed",
        subject=("group_id",),
        identity=("group_id", "event_time"),
        source="1047/34377",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    owner_account: fields.OwnerAccount = None
    name: fields.Name = None
    member_list: Annotated[
        list[fields.Member] | None,
        tencent("MemberList", "Who was a member; not sent for communities.", optional=True),
    ] = None


class InfoChanged(Data, frozen=True):
    """The description of a group changed; only what changed is present."""

    callback = Callback(
        command="Group.CallbackAfterGroupInfoChanged",
        type="im.group.info.changed",
        subject=("group_id",),
        identity=("group_id", "event_time"),
        source="1047/34378",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    operator_account: fields.OperatorAccount = None
    name: fields.ChangedName = None
    introduction: fields.ChangedIntroduction = None
    notification: fields.ChangedNotification = None
    face_url: fields.ChangedFaceUrl = None
    user_defined_data_list: fields.UserDefinedDataList = None


class MemberChanged(Data, frozen=True):
    """The role or the name of a member in a group changed."""

    callback = Callback(
        command="Group.CallbackAfterMemberFieldChanged",
        type="im.group.member.changed",
        subject=("group_id",),
        identity=("group_id", "modified_account", "event_time"),
        source="269/105353, 1047/60393",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    operator_account: fields.OperatorAccount = None
    modified_account: Annotated[str | None, tencent("Modified_Account", "The member.")] = None
    role: Annotated[str | None, tencent("Role", "The new role, if it changed, e.g. `Admin`.", optional=True)] = None
    name_card: Annotated[
        str | None, tencent("NameCard", "The new name in the group, if it changed.", optional=True)
    ] = None


class Attribute(Part, frozen=True):
    """An attribute of a group."""

    key: Annotated[str | None, tencent("key", "The attribute.", "Key")] = None
    value: Annotated[str | None, tencent("value", "Its value.", "Value", optional=True)] = None


class AttributesChanged(Data, frozen=True):
    """Attributes of a group were set or deleted."""

    callback = Callback(
        command="Group.CallbackAfterGroupAttrChanged",
        type="im.group.attributes.changed",
        subject=("group_id",),
        identity=("group_id", "group_attr.key?", "event_time"),
        source="269/105354, 1047/60394",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    operator_account: fields.OperatorAccount = None
    option_type: Annotated[str | None, tencent("OptionType", "`set`, `modify`, `clear` or `delete`.")] = None
    group_attr: Annotated[list[Attribute] | None, tencent("GroupAttr", "The attributes.", optional=True)] = None


class OwnerChanged(Data, frozen=True):
    """A group has a new owner."""

    callback = Callback(
        command="Group.CallbackAfterChangeGroupOwner",
        type="im.group.owner.changed",
        subject=("group_id",),
        identity=("group_id", "new_owner_account", "event_time"),
        source="1047/60396",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    operator_account: fields.OperatorAccount = None
    old_owner_account: Annotated[str | None, tencent("OldOwner_Account", "The owner before.")] = None
    new_owner_account: Annotated[str | None, tencent("NewOwner_Account", "The owner now.")] = None


class MemberStateChanged(Data, frozen=True):
    """Members of an audio-video group came online or went offline."""

    callback = Callback(
        command="Group.CallbackOnMemberStateChange",
        type="im.group.member_state.changed",
        subject=("group_id",),
        identity=(),
        exact=False,
        source="1047/48734",
    )

    group_id: fields.GroupId = None
    group_type: Annotated[str | None, tencent("Type", "Kind of group.", optional=True)] = None
    state: Annotated[str | None, tencent("EventType", "`Online` or `Offline`.")] = None
    member_list: Annotated[list[fields.Member] | None, tencent("MemberList", "The members.")] = None


class DailyQuotaApproached(Data, frozen=True):
    """The app has used most of its daily quota of groups."""

    callback = Callback(
        command="Group.CallbackOnDailyGroupQuotaAlarm",
        type="im.group.daily_quota.approached",
        subject=(),
        identity=("quota_used", "event_time"),
        source="1047/57455",
    )

    quota_used: Annotated[int | None, tencent("QuotaUsed", "How much is used.")] = None
    quota: Annotated[int | None, tencent("Quota", "The quota.")] = None


class TopicCreationRequested(Data, frozen=True):
    """A topic is about to be created in a community."""

    callback = Callback(
        command="Group.CallbackBeforeCreateTopic",
        type="im.group.topic_creation.requested",
        subject=("operator_account",),
        identity=(),
        exact=False,
        source="1047/49463",
        reply=Reply.ALLOW,
    )

    group_id: Annotated[str | None, tencent("GroupId", "The community.", optional=True)] = None
    operator_account: fields.OperatorAccount = None
    group_type: fields.GroupType = None
    name: fields.Name = None


class TopicCreated(Data, frozen=True):
    """A topic was created in a community."""

    callback = Callback(
        command="Group.CallbackAfterCreateTopic",
        type="im.group.topic.created",
        subject=("group_id",),
        identity=("group_id", "topic_id", "event_time"),
        source="1047/49464",
    )

    group_id: fields.GroupId = None
    topic_id: Annotated[str | None, tencent("TopicId", "The topic.")] = None
    operator_account: fields.OperatorAccount = None
    owner_account: fields.OwnerAccount = None
    group_type: fields.GroupType = None
    name: fields.Name = None
    user_defined_data_list: fields.UserDefinedDataList = None


class TopicsDestroyed(Data, frozen=True):
    """Topics of a community were dissolved."""

    callback = Callback(
        command="Group.CallbackAfterTopicDestroyed",
        type="im.group.topics.destroyed",
        subject=("group_id",),
        identity=("group_id", "topic_id_list", "event_time"),
        source="1047/49465",
    )

    group_id: fields.GroupId = None
    group_type: Annotated[str | None, tencent("Type", "Kind of group.", optional=True)] = None
    operator_account: Annotated[str | None, tencent("Operator_Account", "Who did it.", optional=True)] = None
    topic_id_list: Annotated[list[str] | None, tencent("TopicIdList", "The topics.")] = None


class TopicInfoChanged(Data, frozen=True):
    """The description of a topic changed; only what changed is present."""

    callback = Callback(
        command="Group.CallbackAfterTopicInfoChanged",
        type="im.group.topic_info.changed",
        subject=("group_id",),
        identity=(),
        exact=False,
        source="1047/49466",
    )

    group_id: fields.GroupId = None
    topic_id: fields.TopicId = None
    group_type: fields.GroupType = None
    operator_account: fields.OperatorAccount = None
    name: fields.ChangedName = None
    introduction: fields.ChangedIntroduction = None
    notification: fields.ChangedNotification = None
    face_url: fields.ChangedFaceUrl = None
    user_defined_data_list: fields.UserDefinedDataList = None
