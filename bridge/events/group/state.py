"""What becomes of a group and its members: settings, owner, attributes, limits, its end."""

from __future__ import annotations

from typing import Annotated

from bridge.events import fields
from bridge.events.base import Callback, Data, EventTimePages, Part, tencent


class GroupFilled(Data, frozen=True):
    """A group has as many members as it can have."""

    callback = Callback(
        command="Group.CallbackAfterGroupFull",
        type="im.group.group.filled",
        subject=("group_id",),
        identity=("group_id", "event_time"),
        identity_reason="It says nothing but that; twice in a millisecond is the same.",
        event_time=EventTimePages.SOME,
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
        identity_reason="A group is dissolved once, and may be created anew under its old id and dissolved later.",
        event_time=EventTimePages.SOME,
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
        identity=(
            "group_id",
            "event_time",
            "operator_account?",
            "name?",
            "introduction?",
            "notification?",
            "face_url?",
            "user_defined_data_list?",
        ),
        identity_reason="Several administrators may change it in one millisecond: who did it and what it is now tells"
        " these apart.",
        event_time=EventTimePages.SOME,
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
        identity=("group_id", "modified_account", "event_time", "operator_account?", "role?", "name_card?"),
        identity_reason="Role and name of a member may be changed in one millisecond: what they are now tells these"
        " apart.",
        source="269/105353, 1047/60393",
    )

    group_id: fields.GroupId = None
    group_type: fields.GroupType = None
    operator_account: fields.OperatorAccount = None
    modified_account: Annotated[str | None, tencent("Modified_Account", "The member.", "Member_Account")] = None
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
        identity=(
            "group_id",
            "group_attr.key?",
            "event_time",
            "operator_account?",
            "option_type?",
            "group_attr.value?",
        ),
        identity_reason="Several members may change an attribute in one millisecond: who did it and what it is now"
        " tells these apart.",
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
        identity=("group_id", "new_owner_account", "event_time", "old_owner_account?"),
        identity_reason="Nobody can become the owner twice in a millisecond, but from another one.",
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
        identity=("group_id", "state", "member_list.member_account", "event_time", "event_cause?"),
        identity_reason="Nobody can come online twice in a millisecond without going offline between. Without"
        " EventTime, which the international page alone has, it may have happened again.",
        event_time=EventTimePages.SOME,
        source="1047/48734, 269/76156",
    )

    group_id: fields.GroupId = None
    group_type: Annotated[str | None, tencent("Type", "Kind of group.", optional=True)] = None
    state: Annotated[str | None, tencent("EventType", "`Online` or `Offline`.")] = None
    event_cause: Annotated[
        str | None,
        tencent(
            "EventCause",
            "Why: `HeartbeatInterrupt`, `HeartbeatRecover`, `Join` or `Quit`.",
            optional=True,
        ),
    ] = None
    member_list: Annotated[list[fields.Member] | None, tencent("MemberList", "The members.")] = None


class DailyQuotaApproached(Data, frozen=True):
    """The app has used most of its daily quota of groups."""

    callback = Callback(
        command="Group.CallbackOnDailyGroupQuotaAlarm",
        type="im.group.daily_quota.approached",
        subject=(),
        identity=("quota_used", "event_time"),
        identity_reason="It says nothing but how much is used; twice in a millisecond is the same.",
        source="1047/57455",
    )

    quota_used: Annotated[int | None, tencent("QuotaUsed", "How much is used.")] = None
    quota: Annotated[int | None, tencent("Quota", "The quota.")] = None
