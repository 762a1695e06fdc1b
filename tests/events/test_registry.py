"""The registry: one entry per documented command, and what every entry must keep."""

import re
from typing import Any

import orjson
import pytest

from bridge.contract.examples import made_body
from bridge.events import DATA_TYPES, Data, Reply, bot, c2c, group, registry
from bridge.events.getters import ENVELOPE_PATHS
from bridge.events.introspection import Field, fields_of, is_part, is_verbatim, item_type
from bridge.normalize import lenient
from bridge.normalize.repair import load
from tests.support.callbacks import samples

COMMANDS = [
    "C2C.CallbackBeforeSendMsg",
    "C2C.CallbackAfterSendMsg",
    "C2C.CallbackAfterMsgReport",
    "C2C.CallbackAfterMsgWithDraw",
    "C2C.CallbackAfterMsgReadReceipt",
    "C2C.CallbackAfterModifyMsg",
    "C2C.CallbackAfterMsgReadAll",
    "C2C.CallbackAfterC2CMsgExtension",
    "Bot.OnC2CMessage",
    "Bot.OnGroupMessage",
    "Chatbot.OnC2CSignalMessage",
    "State.StateChange",
    "Profile.CallbackPortraitSet",
    "Sns.CallbackPrevFriendAdd",
    "Sns.CallbackPrevFriendResponse",
    "Sns.CallbackFriendAdd",
    "Sns.CallbackFriendDelete",
    "Sns.CallbackBlackListAdd",
    "Sns.CallbackBlackListDelete",
    "Follow.CallbackAfterFollowAdd",
    "Follow.CallbackAfterFollowDelete",
    "Group.CallbackBeforeCreateGroup",
    "Group.CallbackAfterCreateGroup",
    "Group.CallbackBeforeApplyJoinGroup",
    "Group.CallbackBeforeInviteJoinGroup",
    "Group.CallbackAfterNewMemberJoin",
    "Group.CallbackAfterMemberExit",
    "Group.CallbackBeforeSendMsg",
    "Group.CallbackAfterSendMsg",
    "Group.CallbackAfterRecallMsg",
    "Group.CallbackAfterModifyMsg",
    "Group.CallbackAfterGroupMsgExtension",
    "Group.CallbackAfterReadReceipt",
    "Group.CallbackSendMsgException",
    "Group.CallbackAfterGroupFull",
    "Group.CallbackAfterGroupDestroyed",
    "Group.CallbackAfterGroupInfoChanged",
    "Group.CallbackAfterMemberFieldChanged",
    "Group.CallbackAfterGroupAttrChanged",
    "Group.CallbackAfterChangeGroupOwner",
    "Group.CallbackOnMemberStateChange",
    "Group.CallbackOnDailyGroupQuotaAlarm",
    "Group.CallbackBeforeCreateTopic",
    "Group.CallbackAfterCreateTopic",
    "Group.CallbackAfterTopicDestroyed",
    "Group.CallbackAfterTopicInfoChanged",
    "OfficialAccount.CallbackBeforeCreateOfficialAccount",
    "OfficialAccount.CallbackAfterCreateOfficialAccount",
    "OfficialAccount.CallbackAfterOfficialAccountInfoChanged",
    "OfficialAccount.CallbackAfterOfficialAccountDestroyed",
    "OfficialAccount.CallbackBeforeAddSubscriber",
    "OfficialAccount.CallbackAfterAddSubscriber",
    "OfficialAccount.CallbackAfterOfficialAccountFull",
    "OfficialAccount.CallbackAfterDeleteSubscriber",
    "OfficialAccount.CallbackBeforeSendMsg",
    "OfficialAccount.CallbackAfterSendMsg",
    "OfficialAccount.CallbackAfterMsgWithDraw",
    "Alert.RequestOverLimit",
    "ContentCallback.ResultNotify",
    "Push.OfflinePush",
    "Push.AllMemberPush",
    "Call.CallbackAfterStartCall",
    "Call.CallbackAfterEndCall",
    "Call.CallbackAfterMemberChanged",
    "call_end",
    "Live.CallbackAfterCreateRoom",
    "Live.CallbackAfterDestroyRoom",
    "Live.CallbackAfterUpdateRoomInfo",
    "Live.CallbackAfterSetMetadata",
    "Live.CallbackAfterDelMetadata",
    "Live.CallbackAfterCreateRoomReachingThreshold",
    "Live.CallbackMemberStateChanged",
    "Live.CallbackAfterChangeOwner",
    "Live.CallbackAfterModifyAdmin",
    "Live.CallbackAfterCreateBattle",
    "Live.CallbackAfterStartBattle",
    "Live.CallbackAfterEndBattle",
    "Live.CallbackBeforeSendGift",
    "Mic.CallbackAfterSeatInfoChanged",
    "Live.CallbackAfterCloudRecordingChanged",
    "Call.CallbackAfterRecordChanged",
    "Room.CallbackAfterCreateRoom",
    "Room.CallbackAfterUpdateRoomInfo",
    "Room.CallbackAfterDestroyRoom",
    "Room.CallbackAfterMemberEnter",
    "Room.CallbackAfterMemberLeave",
    "createRoom",
    "destroyRoom",
    "updateRoomInfo",
    "enterRoom",
    "exitRoom",
    "updateUserRole",
    "takeSeat",
    "leaveSeat",
    "caller_start_call",
    "callee_reject_call",
    "join_in_group_call",
    "normal_end",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_whose_body_is_documented_has_an_entry(command: str) -> None:
    entry = registry.find(command)
    assert entry is not None
    assert entry.callback.command == command


def test_every_sample_has_an_entry() -> None:
    found = samples()
    assert len(found) > 50
    assert [name for name, callback in found.items() if registry.find(callback.command) is None] == []


def test_no_two_entries_share_a_command_or_an_event_type() -> None:
    names = [name for entry in registry.ENTRIES for name in (entry.callback.command, *entry.callback.aliases)]
    assert len({name.lower() for name in names}) == len(names)
    assert len(DATA_TYPES) == len(registry.ENTRIES)


def test_a_command_is_found_whatever_its_case_and_under_its_other_name() -> None:
    assert registry.find("bot.onc2cmessage") is registry.find("Bot.OnC2cMessage") is registry.find("Bot.OnC2CMessage")
    member_state = registry.find("Live.CallbackMemberStateChanged")
    assert member_state is registry.find("Live.CallbackAfterMemberStateChanged")
    assert registry.find("Live.CallbackAfterNobodyKnows") is None


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.callback.command)
class TestEveryEntry:
    def test_has_a_type_of_the_documented_form(self, entry: registry.Entry) -> None:
        assert re.fullmatch(r"im(\.[a-z0-9_]+){3}", entry.callback.type)
        assert entry.callback.type.endswith(".requested") == entry.callback.is_before

    def test_names_only_fields_that_exist(self, entry: registry.Entry) -> None:
        callback = entry.callback
        identities = (*callback.identity, *callback.identity_otherwise)
        others = filter(None, [callback.asks_about, callback.identity_later, callback.time])
        for path in (*callback.subject, *identities, *others):
            if path.removesuffix("?") not in ENVELOPE_PATHS:
                assert list(registry.platform_path(entry, path.removesuffix("?")))

    def test_has_a_unique_event_or_says_that_it_has_none(self, entry: registry.Entry) -> None:
        assert bool(entry.callback.identity) == entry.callback.exact
        assert entry.callback.exact or not entry.callback.identity_otherwise
        assert len(entry.exactness.identities) == entry.callback.exact + bool(entry.callback.identity_otherwise)
        assert entry.callback.identity_reason.endswith(".")

    def test_is_known_first_by_what_must_be_there(self, entry: registry.Entry) -> None:
        for identity in entry.exactness.identities:
            assert not identity[0].is_optional, "so that no value of one identity can be one of another"

    def test_is_known_by_nothing_that_is_passed_on_as_it_came(self, entry: registry.Entry) -> None:
        for path in (*entry.callback.identity, *entry.callback.identity_otherwise):
            if path.removesuffix("?") not in ENVELOPE_PATHS:
                assert not is_verbatim(_type_at(entry, path.removesuffix("?")))

    def test_says_which_answers_are_documented_where_the_platform_waits_for_one(self, entry: registry.Entry) -> None:
        callback = entry.callback
        assert bool(callback.answers.codes) == callback.awaits_answer
        assert bool(callback.answers.item_codes) == (callback.reply is Reply.ALLOW_EACH)
        for code in (*callback.answers.codes, *callback.answers.item_codes):
            assert 0 <= code.first <= code.last <= 2**31 - 1
            assert code.meaning

    def test_explains_itself(self, entry: registry.Entry) -> None:
        assert entry.data.__doc__
        assert entry.callback.source
        assert entry.fields
        for field in _all_fields(entry.fields):
            assert field.meaning.endswith(".")

    def test_uses_one_name_for_one_meaning(self, entry: registry.Entry) -> None:
        for field in _all_fields(entry.fields):
            assert re.fullmatch(r"[a-z][a-z0-9_]*", field.name)
            canonical = {
                "Requestor_Account": "requester_account",
                "Requester_Account": "requester_account",
                "GroupId": "group_id",
                "GroupID": "group_id",
                "ToGroupId": "group_id",
                "ChatGroupId": "group_id",
                "Random": "msg_random",
                "MsgRandom": "msg_random",
                "UnreadMsgNum": "unread_total",
                "OnlineOnlyFlag": "online_only",
                "ErrCode": "error_code",
                "ErrorCode": "error_code",
            }
            assert field.name == canonical.get(field.tencent, field.name)


def _type_at(entry: registry.Entry, path: str) -> Any:
    fields: tuple[Field, ...] = entry.fields
    for name in path.split("."):
        declared = next(field.type for field in fields if field.name == name)
        inner = item_type(declared) or declared
        fields = fields_of(inner) if is_part(inner) else ()
    return declared


def _all_fields(fields: tuple[Field, ...]) -> list[Field]:
    found = list(fields)
    for field in fields:
        inner = item_type(field.type) or field.type
        if is_part(inner):
            found += _all_fields(fields_of(inner))
    return found


def test_a_name_has_one_type_in_all_events() -> None:
    types: dict[str, set[str]] = {}
    for entry in registry.ENTRIES:
        for field in _all_fields(entry.fields):
            declared = field.type
            if not (is_part(declared) or is_part(item_type(declared))):
                types.setdefault(field.name, set()).add(str(declared))
    # The value of a profile's field is a number or text, by the field.
    assert {name: found for name, found in types.items() if len(found) > 1 and name != "value"} == {}


@pytest.mark.parametrize(
    ("data", "owner"),
    [
        (c2c.MessageSent, "to_account"),
        (c2c.MessageRecalled, "to_account"),
        (c2c.ConversationRead, "report_account"),
        (c2c.AllConversationsRead, "report_account"),
        (bot.C2CMessageReceived, "to_account"),
    ],
)
def test_all_that_can_touch_a_badge_has_its_owner_as_key(data: type[Data], owner: str) -> None:
    assert data.callback.subject[0] == owner


def test_an_unread_count_is_only_where_the_platform_documents_one() -> None:
    counted = {data for data in DATA_TYPES.values() if "unread_total" in data.__struct_fields__}
    assert counted == {c2c.MessageSent, c2c.MessageRecalled, c2c.ConversationRead, bot.C2CMessageReceived}


@pytest.mark.parametrize(
    ("command", "before"),
    [
        ("C2C.CallbackBeforeSendMsg", True),
        ("sns.callbackprevfriendadd", True),
        ("Live.CallbackBeforeSendGift", True),
        ("Live.CallbackBeforeCallBackNotBlock", True),
        ("New.CallbackBeforeSomething", True),
        ("Sns.CallbackPrevSomething", True),
        ("Sns.CallbackFriendAdd", False),
        ("C2C.CallbackAfterSendMsg", False),
        ("call_end", False),
        ("", False),
    ],
)
def test_before_callbacks_are_known_by_their_entry_and_unknown_ones_by_their_name(command: str, before: bool) -> None:
    assert registry.is_before(command) is before


@pytest.mark.parametrize(
    ("command", "each"),
    [
        ("sns.callbackprevfriendadd", True),
        ("Sns.CallbackPrevSomething", True),
        ("C2C.CallbackBeforeSendMsg", False),
        ("New.CallbackBeforeSomething", False),
    ],
)
def test_a_verdict_on_each_account_is_wanted_by_the_entry_and_for_unknown_commands_by_the_name(
    command: str, each: bool
) -> None:
    assert registry.wants_each(command) is each


@pytest.mark.parametrize(
    ("command", "droppable"),
    [
        ("c2c.callbackbeforesendmsg", True),
        ("Group.CallbackBeforeSendMsg", True),
        ("OfficialAccount.CallbackBeforeSendMsg", True),
        ("New.CallbackBeforeSendMsg", True),
        ("Live.CallbackBeforeSendGift", False),
        ("New.CallbackBeforeSomething", False),
    ],
)
def test_a_message_can_be_dropped_by_the_entry_and_for_unknown_commands_by_the_name(
    command: str, droppable: bool
) -> None:
    assert registry.can_drop(command) is droppable


def test_the_documented_codes_of_each_answer_are_those_of_its_page() -> None:
    documented = {
        entry.callback.command: [str(code) for code in entry.callback.answers.codes]
        for entry in registry.ENTRIES
        if entry.callback.awaits_answer
    }
    group, user = ["0", "1", "10100-10200"], ["0", "1", "120001-130000"]
    assert documented == {
        "C2C.CallbackBeforeSendMsg": ["0", "1", "2", "120001-130000"],
        "Chatbot.OnC2CSignalMessage": ["0", "1"],
        "Group.CallbackBeforeApplyJoinGroup": group,
        "Group.CallbackBeforeCreateGroup": group,
        "Group.CallbackBeforeCreateTopic": group,
        "Group.CallbackBeforeInviteJoinGroup": group,
        "Group.CallbackBeforeSendMsg": ["0", "1", "2", "10100-10200"],
        "Live.CallbackBeforeSendGift": ["0", "1", "102100-102200"],
        "OfficialAccount.CallbackBeforeAddSubscriber": ["0", "1"],
        "OfficialAccount.CallbackBeforeCreateOfficialAccount": user,
        "OfficialAccount.CallbackBeforeSendMsg": ["0", "1", "2", "120001-130000"],
        "Sns.CallbackPrevFriendAdd": ["0", "38000-39000"],
        "Sns.CallbackPrevFriendResponse": ["0", "38000-39000"],
    }


def test_without_an_answer_a_message_is_delivered_a_gift_is_blocked_and_of_a_signal_no_page_says() -> None:
    asked = [entry.callback for entry in registry.ENTRIES if entry.callback.awaits_answer]
    unanswered = {callback.command: callback.answers.without_answer for callback in asked}
    assert {command: happens for command, happens in unanswered.items() if happens != "probably_allowed"} == {
        "C2C.CallbackBeforeSendMsg": "allowed",
        "Group.CallbackBeforeSendMsg": "allowed",
        "OfficialAccount.CallbackBeforeSendMsg": "allowed",
        "Live.CallbackBeforeSendGift": "blocked",
        "Chatbot.OnC2CSignalMessage": "unknown",
    }


@pytest.mark.parametrize(
    ("command", "awaits"),
    [
        ("C2C.CallbackBeforeSendMsg", True),
        ("chatbot.onc2csignalmessage", True),
        ("New.CallbackBeforeSomething", True),
        ("Chatbot.OnSomething", False),
        ("C2C.CallbackAfterSendMsg", False),
        ("call_end", False),
    ],
)
def test_an_answer_is_awaited_to_more_than_before_callbacks(command: str, awaits: bool) -> None:
    assert registry.awaits_answer(command) is awaits


def test_the_entry_decides_which_answer_is_expected() -> None:
    each = {entry.callback.command for entry in registry.ENTRIES if entry.callback.reply is Reply.ALLOW_EACH}
    assert each == {"Sns.CallbackPrevFriendAdd", "Sns.CallbackPrevFriendResponse"}
    assert group.JoinRequested.callback.reply is Reply.ALLOW


@pytest.mark.parametrize("entry", registry.ENTRIES, ids=lambda entry: entry.callback.command)
def test_the_strict_and_the_lenient_way_read_a_documented_body_alike(entry: registry.Entry) -> None:
    fields = load(made_body(entry)).fields
    if entry.callback.batch:
        (fields,) = fields[entry.callback.batch]
    strict = entry.build(entry.decode(_dumps(fields)))
    reading = lenient.read(fields, entry.data, lambda _name, _value: True)
    assert reading.data == strict
    assert reading.surprises == []
    assert reading.data.unknown is None


def _dumps(value: object) -> bytes:
    return orjson.dumps(value)
