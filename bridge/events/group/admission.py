"""How groups come into being, and people come in and leave."""

from __future__ import annotations

from typing import Annotated

from bridge.events import answers, fields
from bridge.events.base import Callback, Data, EventTimePages, Reply, tencent

InviteOption = Annotated[
    str | None,
    tencent(
        "InviteOption",
        "How members may invite others, e.g. `NeedPermission`; seen in captured traffic, on no page.",
        optional=True,
    ),
]


class CreationRequested(Data, frozen=True):
    """A group is about to be created."""

    callback = Callback(
        command="Group.CallbackBeforeCreateGroup",
        type="im.group.creation.requested",
        subject=("operator_account", "owner_account"),
        identity=(
            "operator_account",
            "event_time",
            "owner_account?",
            "group_type?",
            "name?",
            "create_group_num?",
            "member_list.member_account?",
        ),
        identity_reason="The group has no id yet; a user asks for a group of the same name and members once in a"
        " millisecond. Without EventTime, which came with the pages of 2023, it may have been asked for again.",
        event_time=EventTimePages.SOME,
        source="269/1662, 1047/34368",
        reply=Reply.ALLOW,
        answers=answers.GROUP_REQUEST,
    )

    operator_account: fields.OperatorAccount = None
    owner_account: fields.OwnerAccount = None
    group_type: fields.GroupType = None
    name: fields.Name = None
    create_group_num: Annotated[
        int | None,
        tencent(
            "CreateGroupNum",
            "How many groups of this kind the user has created; not in the China page of 2025.",
            "CreatedGroupNum",
            "CreatedNum",
            optional=True,
        ),
    ] = None
    member_list: Annotated[list[fields.Member] | None, tencent("MemberList", "The first members.")] = None
    invite_option: InviteOption = None


class GroupCreated(Data, frozen=True):
    """A group was created."""

    callback = Callback(
        command="Group.CallbackAfterCreateGroup",
        type="im.group.group.created",
        subject=("group_id",),
        identity=("group_id", "event_time"),
        identity_reason="A group is created once in a millisecond, and may be created anew under its old id later.",
        event_time=EventTimePages.SOME,
        source="1047/34369",
    )

    group_id: fields.GroupId = None
    operator_account: fields.OperatorAccount = None
    owner_account: fields.OwnerAccount = None
    group_type: fields.GroupType = None
    name: fields.Name = None
    member_list: Annotated[list[fields.Member] | None, tencent("MemberList", "The first members.")] = None
    invite_option: InviteOption = None
    user_defined_data_list: fields.UserDefinedDataList = None


class JoinRequested(Data, frozen=True):
    """A user asks to join a group."""

    callback = Callback(
        command="Group.CallbackBeforeApplyJoinGroup",
        type="im.group.join.requested",
        subject=("group_id",),
        identity=("group_id", "requester_account", "event_time"),
        identity_reason="A user asks for a group once in a millisecond.",
        event_time=EventTimePages.SOME,
        source="1047/34370",
        reply=Reply.ALLOW,
        answers=answers.GROUP_REQUEST,
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
        identity_reason="A user invites the same users once in a millisecond.",
        event_time=EventTimePages.SOME,
        source="1047/34371",
        reply=Reply.ALLOW,
        answers=answers.GROUP_INVITATION,
        asks_about="destination_members.member_account",
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
        identity_reason="Nobody can join twice in a millisecond without leaving between.",
        event_time=EventTimePages.SOME,
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
        identity_reason="Nobody can leave twice in a millisecond without joining between.",
        event_time=EventTimePages.SOME,
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
