"""What an endpoint answers, for every callback that awaits an answer: what the platform is told, and the event says."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bridge.contract.examples import made_body
from bridge.events import registry
from bridge.ingress.endpoint_answer import NoDecisionError, read_answer, undecided
from tests.support.callbacks import sample

C2C = "C2C.CallbackBeforeSendMsg"
GROUP = "Group.CallbackBeforeSendMsg"
ACCOUNT = "OfficialAccount.CallbackBeforeSendMsg"
CREATE = "Group.CallbackBeforeCreateGroup"
INVITE = "Group.CallbackBeforeInviteJoinGroup"
SUBSCRIBE = "OfficialAccount.CallbackBeforeAddSubscriber"
GIFT = "Live.CallbackBeforeSendGift"
FRIEND = "Sns.CallbackPrevFriendAdd"
SIGNAL = "Chatbot.OnC2CSignalMessage"
OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
MESSAGE = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "***"}, "Further": 2**60}]
BODIES = {
    INVITE: b'{"DestinationMembers":[{"Member_Account":"a"},{"Member_Account":7}]}',
    SUBSCRIBE: b'{"SubscribeAccountList":[{"Subscriber_Account":"a"},{"Subscriber_Account":"b"}]}',
    FRIEND: b'{"FriendItem":[{"To_Account":"a"},{"To_Account":7}]}',
}


def decided(answer: Any, command: str, body: bytes | None = None) -> tuple[str, int, dict[str, Any]]:
    content = answer if isinstance(answer, bytes | None) else orjson.dumps(answer)
    made = read_answer(content, command, BODIES.get(command, b"{}") if body is None else body)
    assert orjson.loads(orjson.dumps(made.reply)) == made.reply
    return made.name, made.code, made.reply


def problem(answer: Any, command: str) -> tuple[str, str]:
    with pytest.raises(NoDecisionError) as raised:
        decided(answer, command)
    return raised.value.outcome, str(raised.value)


# -- Codes -------------------------------------------------------------------------------------------------------------

RANGES = [
    (C2C, 120001, 130000),
    (ACCOUNT, 120001, 130000),
    ("OfficialAccount.CallbackBeforeCreateOfficialAccount", 120001, 130000),
    (GROUP, 10100, 10200),
    (CREATE, 10100, 10200),
    ("Group.CallbackBeforeCreateTopic", 10100, 10200),
    ("Group.CallbackBeforeApplyJoinGroup", 10100, 10200),
    (INVITE, 10100, 10200),
    (GIFT, 102100, 102200),
]


@pytest.mark.parametrize(("command", "first", "last"), RANGES)
def test_codes_of_ones_own_are_passed_on_within_the_documented_range_and_refused_outside_it(
    command: str, first: int, last: int
) -> None:
    for code in (1, first, last):
        expected = {**OK, "ErrorCode": code, "ErrorInfo": "be kind"}
        assert decided({"ErrorCode": code, "ErrorInfo": "be kind"}, command) == ("refused", code, expected)
    for code in (first - 1, last + 1, 3, -1, 2**31, 2**63, 10**30):
        outcome, told = problem({"ErrorCode": code} if code < 2**63 else b'{"ErrorCode":%d}' % code, command)
        assert outcome == "undocumented_code"
        assert f"ErrorCode is {code}, " in told
        assert f"{first}-{last}" in told


@pytest.mark.parametrize("command", [C2C, GROUP, ACCOUNT])
def test_a_message_is_dropped_or_changed_where_the_platform_can(command: str) -> None:
    assert decided({"ErrorCode": 2}, command) == ("dropped", 2, {**OK, "ErrorCode": 2})
    given = {"ErrorCode": 0, "MsgBody": MESSAGE, "CloudCustomData": "x"}
    assert decided(given, command) == ("changed", 0, {**OK, **given})
    assert decided({"CloudCustomData": ""}, command) == ("changed", 0, {**OK, "CloudCustomData": ""})
    assert decided({"ErrorCode": 1, "MsgBody": MESSAGE}, command)[0] == "refused"


@pytest.mark.parametrize("command", [CREATE, INVITE, SUBSCRIBE, GIFT])
def test_nothing_else_can_be_dropped(command: str) -> None:
    assert problem({"ErrorCode": 2}, command)[0] == "undocumented_code"


def test_where_no_range_is_documented_only_the_general_codes_are_taken() -> None:
    assert decided({"ErrorCode": 1}, SUBSCRIBE)[:2] == ("refused", 1)
    assert problem({"ErrorCode": 120001}, SUBSCRIBE) == (
        "undocumented_code",
        "its ErrorCode is 120001, and the documented ones are 0, 1",
    )


def test_of_a_callback_that_nobody_knows_no_page_is_known_so_any_code_and_field_passes() -> None:
    new = "Group.CallbackBeforeSomething"
    given = {"ErrorCode": 10300, "RefusedMembers_Account": [7], "MsgBody": MESSAGE}
    assert decided(given, new) == ("refused", 10300, {**OK, **given, "RefusedMembers_Account": ["7"]})
    assert decided({"NewVerdict": 1}, new) == ("allowed", 0, {**OK, "NewVerdict": 1})
    for code in (-1, 2**31):
        assert problem({"ErrorCode": code}, new)[0] == "undocumented_code"


# -- Fields ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, b"{}", b' {"ErrorCode": 0} ', b'{"ErrorCode":null,"ErrorInfo":null}'])
@pytest.mark.parametrize("command", [command for command, *_ in RANGES])
def test_what_says_nothing_else_allows_in_the_documented_form(answer: bytes | None, command: str) -> None:
    assert decided(answer, command) == ("allowed", 0, OK)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "no reply of the platform"),
        (b"yes", "no reply of the platform"),
        (b"[]", "no reply of the platform"),
        (b"null", "no reply of the platform"),
        (b'{"ErrorCode":"0"}', "ErrorCode"),
        (b'{"ErrorCode":"1"}', "ErrorCode"),
        (b'{"ErrorCode":0.0}', "ErrorCode"),
        (b'{"ErrorCode":1.5}', "ErrorCode"),
        (b'{"ErrorCode":1e3}', "ErrorCode"),
        (b'{"ErrorCode":true}', "ErrorCode"),
        (b'{"ErrorCode":[1]}', "ErrorCode"),
        (b'{"ErrorInfo":7}', "ErrorInfo"),
        (b'{"ErrorInfo":"\xff"}', "no reply of the platform"),
        (b'{"ActionStatus":"MAYBE"}', "ActionStatus"),
        (b'{"ActionStatus":"FAIL"}', "ErrorCode 1 refuses"),
        (b'{"ActionStatus":"FAIL","ErrorCode":0}', "ErrorCode 1 refuses"),
        (b'{"MsgBody":"text"}', "MsgBody"),
        (b'{"MsgBody":[{}]}', "MsgType"),
        (b'{"MsgBody":[{"MsgType":"TIMTextElem","MsgContent":"text"}]}', "MsgContent"),
        (b'{"MsgBody":[]}', "ErrorCode 2 drops a message"),
        (b'{"CloudCustomData":{}}', "CloudCustomData"),
        (b'{"errorcode":1}', "it is ErrorCode"),
        (b'{"error_code":1,"error_info":"no"}', "misspelt"),
        (b'{"ErrorCode":0,"msgBody":[]}', "it is MsgBody"),
        (b'{"ErrorCodes":1}', "it is ErrorCode"),
        (b'{"ErorCode":1,"ErrorInfo":""}', "it is ErrorCode"),
        (b'{"allow":false}', "no field of the platform's reply, such as ErrorCode"),
        (b'{"RefusedMembers_Account":["a"]}', "no field of the reply to it: there are ActionStatus, ErrorInfo, "),
        (b'{"RspData":"x"}', "RspData is no field of the reply to it"),
        (b'{"x":' + b"[" * 100_000, "no reply of the platform"),
    ],
)
def test_what_is_no_reply_of_the_platform_is_no_decision(answer: bytes, told: str) -> None:
    outcome, message = problem(answer, C2C)
    assert outcome == "invalid"
    assert told in message


@pytest.mark.parametrize(
    ("command", "field", "meant"),
    [
        ("Group.CallbackBeforeInviteJoinGroup", "RefusedMember_Account", "RefusedMembers_Account"),
        ("OfficialAccount.CallbackBeforeAddSubscriber", "RefusedSubscribers", "RefusedSubscribers_Account"),
        ("Sns.CallbackPrevFriendAdd", "ResultItems", "ResultItem"),
        ("Chatbot.OnC2CSignalMessage", "RespData", "RspData"),
    ],
)
def test_a_misspelt_field_of_this_callback_would_allow_what_it_is_to_refuse(
    command: str, field: str, meant: str
) -> None:
    outcome, message = problem(orjson.dumps({"ErrorCode": 0, field: ["a"]}), command)
    assert (outcome, message) == ("invalid", f"a field of its answer is misspelt: it is {meant}")
    assert decided({"ErrorCode": 0, field: ["a"], "Result": "ok"}, C2C)[0] == "allowed", "there it means nothing"


def test_a_refusal_is_told_in_the_form_of_the_pages_and_without_what_belongs_to_other_callbacks() -> None:
    given = {"ActionStatus": "FAIL", "ErrorCode": 1, "ResultItem": [], "RefusedMembers_Account": ["a"]}
    assert decided(given, C2C) == ("refused", 1, {**OK, "ErrorCode": 1})
    empty = {"ErrorCode": 0, "ResultItem": [], "MsgBody": [], "CloudCustomData": "", "RspData": ""}
    assert decided(empty, CREATE) == ("allowed", 0, OK)


def test_a_field_that_no_page_has_yet_is_passed_on_with_those_that_are_known() -> None:
    assert decided({"ErrorCode": 0, "NewField": [1]}, C2C) == ("allowed", 0, {**OK, "NewField": [1]})
    both = {"ErrorCode": 1, "errorCode": 1}
    assert decided(both, C2C) == ("refused", 1, {**OK, **both})


@pytest.mark.parametrize(
    ("command", "name"), [(INVITE, "RefusedMembers_Account"), (SUBSCRIBE, "RefusedSubscribers_Account")]
)
def test_some_may_be_refused_with_or_without_a_code(command: str, name: str) -> None:
    for given in ({name: ["a"]}, {name: ["a"], "ErrorCode": 0}):
        assert decided(given, command) == ("partly_refused", 0, {**OK, name: ["a"]})
    assert decided({name: []}, command) == ("allowed", 0, {**OK, name: []})
    assert decided({name: ["a"], "ErrorCode": 1}, command) == ("refused", 1, {**OK, "ErrorCode": 1, name: ["a"]})
    for wrong in (["a", None], [True], [1.5], "a", {"a": 1}):
        assert problem({name: wrong}, command)[0] == "invalid"
    other = "RefusedSubscribers_Account" if command == INVITE else "RefusedMembers_Account"
    assert f"{other} is no field of the reply to it" in problem({other: ["a"]}, command)[1]


def test_an_account_that_is_a_number_is_told_as_text_and_one_that_nobody_asks_about_is_left_out() -> None:
    name = "RefusedMembers_Account"
    assert decided({name: [7]}, INVITE) == ("partly_refused", 0, {**OK, name: ["7"]})
    made = read_answer(orjson.dumps({name: ["a", "A", "x"]}), INVITE, BODIES[INVITE])
    assert (made.name, made.reply[name]) == ("partly_refused", ["a"])
    assert "names 2 accounts that nobody asks about" in made.remark
    assert decided({name: ["x"]}, INVITE) == ("allowed", 0, {**OK, name: []})
    assert decided({name: ["x"]}, INVITE, b'{"Elsewhere":[]}') == ("partly_refused", 0, {**OK, name: ["x"]})


# -- A verdict on each account -----------------------------------------------------------------------------------------


def item(account: str, code: int = 0, info: str = "") -> dict[str, Any]:
    return {"To_Account": account, "ResultCode": code, "ResultInfo": info}


@pytest.mark.parametrize(
    ("answer", "items", "name", "code"),
    [
        (None, [item("a"), item("7")], "allowed", 0),
        ({}, [item("a"), item("7")], "allowed", 0),
        ({"ErrorCode": 1}, [item("a", 38000), item("7", 38000)], "refused", 38000),
        ({"ErrorCode": 39000, "ErrorInfo": "no"}, [item("a", 39000, "no"), item("7", 39000, "no")], "refused", 39000),
        ({"ErrorCode": 38005, "ResultItem": [item("a")]}, [item("a"), item("7", 38005)], "partly_refused", 38005),
        ({"ResultItem": [item("a", 38001, "no")]}, [item("a", 38001, "no"), item("7")], "partly_refused", 38001),
        (
            {"ResultItem": [{"To_Account": 7, "ResultCode": 38000, "ResultInfo": None}]},
            [item("a"), item("7", 38000)],
            "partly_refused",
            38000,
        ),
        ({"ResultItem": [{"To_Account": "a"}]}, [item("a"), item("7")], "allowed", 0),
        (
            {"ResultItem": [item("7", 38000), item("7", 38000, "again"), item("a", 39000)]},
            [item("a", 39000), item("7", 38000)],
            "refused",
            39000,
        ),
    ],
)
def test_a_friend_request_is_answered_for_each_account(
    answer: Any, items: list[dict[str, Any]], name: str, code: int
) -> None:
    # A code for all would let all of them pass.
    assert decided(answer, FRIEND) == (
        name,
        code,
        {**OK, "ErrorInfo": (answer or {}).get("ErrorInfo", ""), "ResultItem": items},
    )


def test_a_verdict_on_an_account_that_nobody_asks_about_is_left_out_and_told() -> None:
    answer = orjson.dumps({"ResultItem": [item("A", 38000), item("a", 38001)]})
    made = read_answer(answer, FRIEND, BODIES[FRIEND])
    assert made.reply["ResultItem"] == [item("a", 38001), item("7")]
    assert (made.name, made.code) == ("partly_refused", 38001)
    assert "names 1 accounts" in made.remark
    unknown = read_answer(answer, FRIEND, b'{"Elsewhere":{}}')
    assert (unknown.name, unknown.remark) == ("refused", "")
    assert unknown.reply["ResultItem"] == [item("A", 38000), item("a", 38001)]


def test_an_account_that_is_asked_about_twice_has_one_verdict() -> None:
    body = b'{"FriendItem":[{"To_Account":"a"},{"To_Account":"a"}]}'
    made = decided({"ResultItem": [item("a", 38000)]}, FRIEND, body)
    assert made == ("refused", 38000, {**OK, "ResultItem": [item("a", 38000), item("a", 38000)]})


@pytest.mark.parametrize(
    ("answer", "outcome", "told"),
    [
        ({"ErrorCode": 2}, "undocumented_code", "0, 1, 38000-39000"),
        ({"ErrorCode": 37999}, "undocumented_code", "37999"),
        (
            {"ResultItem": [item("a", 1)]},
            "undocumented_code",
            "ResultCode is 1, and the documented ones are 0, 38000-39000",
        ),
        ({"ResultItem": [item("a", 39001)]}, "undocumented_code", "39001"),
        ({"ResultItem": [item("a", -1)]}, "undocumented_code", "-1"),
        ({"ResultItem": [item("a", 38000), item("a", 0)]}, "invalid", "two verdicts on one account"),
        ({"ResultItem": [{"To_Account": 7, "ResultCode": 38000}, item("7")]}, "invalid", "two verdicts"),
        ({"ResultItem": [{}]}, "invalid", "To_Account"),
        ({"ResultItem": {"a": 0}}, "invalid", "ResultItem"),
        ({"ResultItem": [{"To_Account": "a", "ResultCode": "0"}]}, "invalid", "ResultCode"),
        ({"ActionStatus": "FAIL", "ResultItem": [item("a")]}, "invalid", "FAIL"),
        ({"RefusedMembers_Account": ["a"]}, "invalid", "no field of the reply to it"),
    ],
)
def test_what_no_page_documents_of_a_friend_request_is_no_decision(answer: Any, outcome: str, told: str) -> None:
    found, message = problem(answer, FRIEND)
    assert found == outcome
    assert told in message


# -- Data for a chatbot ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "name", "reply"),
    [
        (None, "ignored", {**OK, "ErrorCode": 1, "RspData": ""}),
        ({"RspData": "x"}, "answered", {**OK, "RspData": "x"}),
        ({"ErrorCode": 0, "RspData": ""}, "answered", {**OK, "RspData": ""}),
        ({"ErrorCode": 1}, "ignored", {**OK, "ErrorCode": 1, "RspData": ""}),
        (
            {"ActionStatus": "FAIL", "ErrorCode": 1, "ErrorInfo": "why", "RspData": "x"},
            "ignored",
            {**OK, "ErrorCode": 1, "ErrorInfo": "why", "RspData": "x"},
        ),
    ],
)
def test_a_signal_to_a_chatbot_is_answered_or_ignored(answer: Any, name: str, reply: dict[str, Any]) -> None:
    assert decided(answer, SIGNAL) == (name, reply["ErrorCode"], reply)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"ErrorCode": 0},
        {"RspData": None},
        {"RspData": {"msg": "x"}},
        {"RspData": 7},
        {"ErrorCode": 2, "RspData": "x"},
        {"ErrorCode": 120001, "RspData": "x"},
        {"ErrorCode": "0", "RspData": "x"},
        {"ActionStatus": "FAIL", "RspData": "x"},
        {"rspData": "x"},
        {"RspData": "x", "MsgBody": MESSAGE},
    ],
)
def test_what_has_no_data_for_a_chatbot_is_no_decision(answer: dict[str, Any]) -> None:
    assert problem(answer, SIGNAL)[0] in {"invalid", "undocumented_code"}


# -- Nobody decides ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("refuses", [True, False])
@pytest.mark.parametrize(
    "entry", [entry for entry in registry.ENTRIES if entry.callback.awaits_answer], ids=lambda e: e.callback.command
)
def test_without_a_decision_the_platform_is_told_a_documented_answer(entry: registry.Entry, refuses: bool) -> None:
    command, answers = entry.callback.command, entry.callback.answers
    made = undecided(command, made_body(entry), refuses=refuses)
    assert made.name == "failed"
    assert (made.code != 0) == (refuses or command == SIGNAL), "no choice makes code 0 of a signal's 1"
    assert any(code.first <= made.reply["ErrorCode"] <= code.last for code in answers.codes)
    assert made.reply.keys() >= {*OK, *({"ResultItem", "RspData"} & {*answers.fields})}
    for one in made.reply.get("ResultItem", ()):
        assert any(code.first <= one["ResultCode"] <= code.last for code in answers.item_codes)


def test_the_samples_name_the_accounts_of_a_friend_request() -> None:
    callback = sample(FRIEND)
    assert [one["To_Account"] for one in decided({}, FRIEND, callback.body)[2]["ResultItem"]] == ["sun.hao", "ana_p"]
