"""Relations between users: friends, blacklist, followed accounts."""

from __future__ import annotations

from typing import Annotated

from bridge.events import answers
from bridge.events.base import Callback, Data, EventTimePages, Part, Reply, tencent

RequesterAccount = Annotated[str | None, tencent("Requester_Account", "Who asked for it.", "Requestor_Account")]


class FriendToAdd(Part, frozen=True):
    """A friend that a user wants to add."""

    to_account: Annotated[str | None, tencent("To_Account", "The friend.")] = None
    remark: Annotated[str | None, tencent("Remark", "The user's note about the friend.", optional=True)] = None
    group_name: Annotated[str | None, tencent("GroupName", "The user's group of friends.", optional=True)] = None
    add_source: Annotated[str | None, tencent("AddSource", "Where the request was made.", optional=True)] = None
    add_wording: Annotated[str | None, tencent("AddWording", "What the user wrote with it.", optional=True)] = None


class FriendAddRequested(Data, frozen=True):
    """A user is about to add friends."""

    callback = Callback(
        command="Sns.CallbackPrevFriendAdd",
        type="im.sns.friend_add.requested",
        subject=("from_account",),
        identity=("from_account", "friend_item.to_account", "event_time", "requester_account?"),
        identity_reason="A user asks the same users once in a millisecond.",
        source="1047/43468",
        reply=Reply.ALLOW_EACH,
        answers=answers.FRIENDS,
        asks_about="friend_item.to_account",
    )

    requester_account: RequesterAccount = None
    from_account: Annotated[str | None, tencent("From_Account", "Whose friends they become.")] = None
    friend_item: Annotated[list[FriendToAdd] | None, tencent("FriendItem", "The friends.")] = None
    add_type: Annotated[str | None, tencent("AddType", "`Add_Type_Single` or `Add_Type_Both`.")] = None
    force_add: Annotated[
        bool | None, tencent("ForceAddFlags", "Whether they are added without being asked.", "ForceFlag")
    ] = None


class FriendResponse(Part, frozen=True):
    """An answer to a request for friendship."""

    to_account: Annotated[str | None, tencent("To_Account", "Who had asked.")] = None
    remark: Annotated[str | None, tencent("Remark", "The user's note about the friend.", optional=True)] = None
    tag_name: Annotated[str | None, tencent("TagName", "The user's group of friends.", optional=True)] = None
    response_action: Annotated[str | None, tencent("ResponseAction", "What the user answered.")] = None


class FriendResponseRequested(Data, frozen=True):
    """A user is about to answer requests for friendship."""

    callback = Callback(
        command="Sns.CallbackPrevFriendResponse",
        type="im.sns.friend_response.requested",
        subject=("from_account",),
        identity=(
            "from_account",
            "response_friend_item.to_account",
            "event_time",
            "requester_account?",
            "response_friend_item.response_action?",
        ),
        identity_reason="A user answers the same users once in a millisecond, or something else.",
        source="1047/43467",
        reply=Reply.ALLOW_EACH,
        answers=answers.FRIENDS,
        asks_about="response_friend_item.to_account",
    )

    requester_account: RequesterAccount = None
    from_account: Annotated[str | None, tencent("From_Account", "Who answers.")] = None
    response_friend_item: Annotated[list[FriendResponse] | None, tencent("ResponseFriendItem", "The answers.")] = None


class NewFriends(Part, frozen=True):
    """Two users, the second of which became a friend of the first."""

    from_account: Annotated[str | None, tencent("From_Account", "Whose friend it became.")] = None
    to_account: Annotated[str | None, tencent("To_Account", "The friend.")] = None
    initiator_account: Annotated[str | None, tencent("Initiator_Account", "Who had asked for it.")] = None


class FriendsAdded(Data, frozen=True):
    """Users became friends; not by an import."""

    callback = Callback(
        command="Sns.CallbackFriendAdd",
        type="im.sns.friends.added",
        subject=("pair_list.from_account",),
        identity=("pair_list.from_account", "pair_list.to_account", "event_time", "client_cmd?", "admin_account?"),
        identity_reason="Nobody can become a friend twice in a millisecond. Without EventTime the same users may have"
        " become friends again.",
        event_time=EventTimePages.NONE,
        source="1047/34359",
    )

    pair_list: Annotated[list[NewFriends] | None, tencent("PairList", "The pairs.")] = None
    client_cmd: Annotated[str | None, tencent("ClientCmd", "The request that did it, e.g. `friend_add`.")] = None
    admin_account: Annotated[
        str | None, tencent("Admin_Account", "The administrator who did it; empty if it was a user.")
    ] = None
    force_add: Annotated[
        bool | None, tencent("ForceFlag", "Whether they were added without being asked.", "ForceAddFlags")
    ] = None


class Pair(Part, frozen=True):
    """Two users."""

    from_account: Annotated[str | None, tencent("From_Account", "Whose list changed.")] = None
    to_account: Annotated[str | None, tencent("To_Account", "Who was on it, or is now.")] = None


PairList = Annotated[list[Pair] | None, tencent("PairList", "The pairs.")]
PAIRS_IN_A_MILLISECOND = ("pair_list.from_account", "pair_list.to_account", "event_time")


class FriendsDeleted(Data, frozen=True):
    """Users ended friendships."""

    callback = Callback(
        command="Sns.CallbackFriendDelete",
        type="im.sns.friends.deleted",
        subject=("pair_list.from_account",),
        identity=PAIRS_IN_A_MILLISECOND,
        identity_reason="The same users cannot end their friendship twice in a millisecond. Without EventTime they may"
        " have ended it again.",
        event_time=EventTimePages.NONE,
        source="1047/34360",
    )

    pair_list: PairList = None


class BlacklistEntriesAdded(Data, frozen=True):
    """Users put others on their blacklist."""

    callback = Callback(
        command="Sns.CallbackBlackListAdd",
        type="im.sns.blacklist_entries.added",
        subject=("pair_list.from_account",),
        identity=PAIRS_IN_A_MILLISECOND,
        identity_reason="Nobody can be put on a list twice in a millisecond. Without EventTime the same users may have"
        " been put on it again.",
        event_time=EventTimePages.NONE,
        source="1047/34361",
    )

    pair_list: PairList = None


class BlacklistEntriesDeleted(Data, frozen=True):
    """Users took others off their blacklist."""

    callback = Callback(
        command="Sns.CallbackBlackListDelete",
        type="im.sns.blacklist_entries.deleted",
        subject=("pair_list.from_account",),
        identity=PAIRS_IN_A_MILLISECOND,
        identity_reason="Nobody can be taken off a list twice in a millisecond. Without EventTime the same users may"
        " have been taken off it again.",
        event_time=EventTimePages.NONE,
        source="1047/34362",
    )

    pair_list: PairList = None


class Followed(Part, frozen=True):
    """An account that is followed."""

    to_account: Annotated[str | None, tencent("To_Account", "The account.")] = None


class AccountsFollowed(Data, frozen=True):
    """A user follows accounts from now on."""

    callback = Callback(
        command="Follow.CallbackAfterFollowAdd",
        type="im.follow.accounts.followed",
        subject=("from_account",),
        identity=("from_account", "follow_list.to_account", "event_time"),
        identity_reason="Nobody can follow an account twice in a millisecond without ending it between.",
        source="269/118915, 1047/70355",
    )

    from_account: Annotated[str | None, tencent("From_Account", "Who follows.")] = None
    follow_list: Annotated[list[Followed] | None, tencent("FollowList", "The accounts.")] = None


class AccountsUnfollowed(Data, frozen=True):
    """A user follows accounts no more."""

    callback = Callback(
        command="Follow.CallbackAfterFollowDelete",
        type="im.follow.accounts.unfollowed",
        subject=("from_account",),
        identity=("from_account", "to_accounts", "event_time"),
        identity_reason="Nobody can end it twice in a millisecond without following between.",
        source="1047/70356",
    )

    from_account: Annotated[str | None, tencent("From_Account", "Who followed.")] = None
    to_accounts: Annotated[list[str] | None, tencent("To_Account", "The accounts.")] = None
