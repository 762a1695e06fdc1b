"""Audio and video calls."""

from __future__ import annotations

from typing import Annotated

from bridge.events import fields
from bridge.events.base import Callback, Data, Part, Reply, tencent


class CallUser(Part, frozen=True):
    """Somebody in a call."""

    user_account: Annotated[str | None, tencent("User_Account", "The user.")] = None
    status: Annotated[str | None, tencent("Status", "`Calling` or `Waiting`.")] = None


class CallInfo(Part, frozen=True):
    """A call."""

    call_id: fields.CallId = None
    call_media_type: Annotated[str | None, tencent("CallMediaType", "`Audio` or `Video`.", "MediaType")] = None
    group_id: Annotated[str | None, tencent("ChatGroupId", "The group that is called; empty if none.")] = None
    room_id: fields.RoomId = None
    room_id_type: fields.RoomIdType = None


class CallStarted(Data, frozen=True):
    """A user calls others."""

    callback = Callback(
        command="Call.CallbackAfterStartCall",
        type="im.call.call.started",
        subject=("call_info.call_id",),
        identity=("call_info.call_id", "event_time?"),
        identity_reason="CallId is the call's own; should it come twice for one call, the time tells them apart.",
        source="647/68941",
    )

    call_info: Annotated[CallInfo | None, tencent("CallInfo", "The call.")] = None
    user_list: Annotated[list[CallUser] | None, tencent("UserList", "Who takes part.")] = None


class CallRecord(Part, frozen=True):
    """A call that is over."""

    call_id: fields.CallId = None
    caller_account: Annotated[str | None, tencent("Caller_Account", "Who called.")] = None
    call_media_type: Annotated[str | None, tencent("MediaType", "`Audio` or `Video`.")] = None
    call_type: Annotated[str | None, tencent("CallType", "Kind of call, e.g. `SingleCall`.")] = None
    start_time: Annotated[int | None, tencent("StartTime", "When it began, Unix seconds.")] = None
    end_time: Annotated[int | None, tencent("EndTime", "When it ended, Unix seconds.")] = None
    accept_time: Annotated[
        int | None, tencent("AcceptTime", "When it was answered, Unix seconds; 0 if it was not.")
    ] = None
    call_result: Annotated[str | None, tencent("CallResult", "How it ended, e.g. `NotAnswer`.", has_two_forms=True)] = (
        None
    )
    callee_list_account: Annotated[list[str] | None, tencent("CalleeList_Account", "Who was called.")] = None
    room_id: fields.RoomId = None
    room_id_type: fields.RoomIdType = None


class CallEnded(Data, frozen=True):
    """A call is over."""

    callback = Callback(
        command="Call.CallbackAfterEndCall",
        type="im.call.call.ended",
        subject=("call_record.call_id",),
        identity=("call_record.call_id", "event_time?"),
        identity_reason="CallId is the call's own, and a call ends once; should it come twice for one call, the time"
        " tells them apart.",
        source="647/68940",
    )

    call_record: Annotated[CallRecord | None, tencent("CallRecord", "The call.")] = None


class MemberChange(Part, frozen=True):
    """What a user did in a call."""

    user_account: Annotated[str | None, tencent("User_Account", "The user.")] = None
    action_type: Annotated[str | None, tencent("ActionType", "What the user did, e.g. `Answer`.")] = None


class MembersChanged(Data, frozen=True):
    """Users joined, left, answered or refused a call."""

    callback = Callback(
        command="Call.CallbackAfterMemberChanged",
        type="im.call.members.changed",
        subject=("call_id",),
        identity=("call_id", "changed_user_list.user_account", "changed_user_list.action_type", "event_time"),
        identity_reason="Nobody does the same in a call twice in a millisecond.",
        source="647/69215",
    )

    call_id: fields.CallId = None
    user_list: Annotated[list[CallUser] | None, tencent("UserList", "Who takes part.")] = None
    changed_user_list: Annotated[list[MemberChange] | None, tencent("ChangedUserList", "What changed.")] = None


OldUserId = Annotated[str | None, tencent("UserId", "The user whose call it is.")]
OldMemberCount = Annotated[int | None, tencent("TotalNum", "How many take part.")]
OldMediaType = Annotated[str | None, tencent("MediaType", "`audio` or `video`.")]
OldCallType = Annotated[str | None, tencent("CallType", "Kind of call, e.g. `single`.")]
OldRole = Annotated[str | None, tencent("Role", "Whether the user called or was called.")]
OldCallResult = Annotated[str | None, tencent("CallResult", "How it ended, e.g. `normal_end`; else empty.")]
OldStartTime = Annotated[int | None, tencent("StartCallTs", "When it began, Unix seconds.", optional=True)]
OldAcceptTime = Annotated[int | None, tencent("AcceptTs", "When it was answered, Unix seconds.", optional=True)]
OldEndTime = Annotated[int | None, tencent("EndTs", "When it ended, Unix seconds.", optional=True)]


class OldCallEnded(Data, frozen=True):
    """A call is over, as the older webhook of the call component tells each of its users. Its page prints the command
    `call_end`; the page that lists the commands has a name for each result instead."""

    callback = Callback(
        command="call_end",
        type="im.call.old_call.ended",
        subject=("call_id", "user_account"),
        identity=("call_id", "user_account", "event_time?", "end_time?", "call_result?"),
        identity_reason="A call ends once for each of its users; its times are in seconds.",
        source="647/60130, 647/60135",
        reply=Reply.ERROR_MESSAGE,
        aliases=("cancel", "reject", "not_answer", "normal_end", "call_busy", "interrupt"),
        keeps_aliases=True,
    )

    user_account: OldUserId = None
    room_id: fields.RoomId = None
    total_members: OldMemberCount = None
    call_media_type: OldMediaType = None
    call_type: OldCallType = None
    call_id: fields.CallId = None
    role: OldRole = None
    call_result: OldCallResult = None
    start_time: OldStartTime = None
    accept_time: OldAcceptTime = None
    end_time: OldEndTime = None


class OldCallChanged(Data, frozen=True):
    """Something happened in a call, as the older webhook of the call component tells each of its users. What it was is
    the command: each has the same body."""

    callback = Callback(
        command="caller_start_call",
        type="im.call.old_call.changed",
        subject=("call_id", "user_account"),
        identity=("call_id", "user_account", "event_time?", "call_event?", "total_members?", "call_result?"),
        identity_reason="Nearly everything happens once to each user of a call. Who invites others again in the same"
        " second is told from before by the number of those who take part: the body has nothing better.",
        source="647/60129, 647/60135",
        reply=Reply.ERROR_MESSAGE,
        aliases=(
            "caller_call_accepted",
            "caller_call_missed",
            "caller_call_rejected",
            "caller_call_busy",
            "caller_cancel_call",
            "caller_call_failed",
            "caller_call_end",
            "caller_call_interrupted",
            "callee_receive_call",
            "callee_accept_call",
            "callee_not_answer_call",
            "callee_reject_call",
            "callee_ignore_call",
            "callee_call_canceled",
            "callee_call_end",
            "callee_call_interrupted",
            "invite_user",
            "join_in_group_call",
        ),
        keeps_aliases=True,
    )

    user_account: OldUserId = None
    room_id: fields.RoomId = None
    total_members: OldMemberCount = None
    call_media_type: OldMediaType = None
    call_type: OldCallType = None
    call_id: fields.CallId = None
    role: OldRole = None
    call_event: Annotated[str | None, tencent("Event", "What happened, e.g. `start_call`.")] = None
    call_result: Annotated[str | None, tencent("CallResult", "How it ended; empty before.", optional=True)] = None
    start_time: OldStartTime = None
    accept_time: OldAcceptTime = None
    end_time: OldEndTime = None
