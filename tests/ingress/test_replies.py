"""Every callback is answered in the form that the platform documents for it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
import pytest

from bridge.contract.examples import made_body
from bridge.events import Reply, registry
from bridge.ingress import replies
from bridge.ingress.replies import PlatformReply
from tests.support.callbacks import RECALLED, sample

OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}


def read(reply: PlatformReply) -> dict[str, Any]:
    parsed = orjson.loads(reply.content)
    assert isinstance(parsed, dict)
    return parsed


@pytest.mark.parametrize(
    "entry", [entry for entry in registry.ENTRIES if entry.callback.is_before], ids=lambda entry: entry.callback.command
)
def test_every_before_callback_is_allowed_by_default_in_its_documented_form(entry: registry.Entry) -> None:
    reply = read(replies.by_default(entry.callback.command, made_body(entry)))
    assert {name: reply[name] for name in OK} == OK
    assert ("ResultItem" in reply) == ("ResultItem" in entry.callback.answers.fields)


@pytest.mark.parametrize("command", ["Chatbot.OnC2CSignalMessage", "chatbot.onc2csignalmessage"])
@pytest.mark.parametrize("body", [b"{}", b"not json", b""])
def test_a_signal_to_a_chatbot_gets_no_data_by_default(command: str, body: bytes) -> None:
    assert read(replies.by_default(command, body)) == {**OK, "ErrorCode": 1, "RspData": ""}
    assert replies.by_default(command, body) in replies.CONSTANT


def test_a_friend_request_is_allowed_for_each_account() -> None:
    callback = sample("Sns.CallbackPrevFriendAdd")
    assert read(replies.by_default(callback.command, callback.body))["ResultItem"] == [
        {"To_Account": "sun.hao", "ResultCode": 0, "ResultInfo": ""},
        {"To_Account": "ana_p", "ResultCode": 0, "ResultInfo": ""},
    ]


@pytest.mark.parametrize(
    ("command", "body", "accounts"),
    [
        (
            "Sns.CallbackPrevFriendResponse",
            b'{"ResponseFriendItem":[{"To_Account":"a"}],"Other":[{"To_Account":"b"}]}',
            ["a"],
        ),
        ("sns.callbackprevfriendadd", b'{"FriendItem":[{"To_Account":"a","AddWording":"\\ud83d"}]}', ["a"]),
        ("Sns.CallbackPrevFriendAdd", b'{"FriendItem":[{"To_Account":7},{},3]}', ["7"]),
        ("Sns.CallbackPrevFriendAdd", b'{"frienditem":[{"To_Account":"a"}]}', ["a"]),
        ("Sns.CallbackPrevNew", b'{"Whatever":[{"To_Account":"a"}]}', ["a"]),
        ("Sns.CallbackPrevFriendAdd", b"no json", []),
        ("Sns.CallbackPrevFriendAdd", b"{}", []),
    ],
)
def test_whatever_the_body_looks_like_each_account_in_it_is_allowed(
    command: str, body: bytes, accounts: list[str]
) -> None:
    assert [item["To_Account"] for item in read(replies.by_default(command, body))["ResultItem"]] == accounts


@pytest.mark.parametrize("command", ["", RECALLED, "New.Thing", "Sns.CallbackFriendAdd"])
def test_an_after_callback_is_accepted_in_one_form(command: str) -> None:
    assert read(replies.accepted(command)) == OK


OLD = [entry.callback.command for entry in registry.ENTRIES if entry.callback.reply is Reply.ERROR_MESSAGE]


@pytest.mark.parametrize("command", [*OLD, "CALL_END"])
def test_an_old_webhook_is_answered_in_its_own_form_whatever_it_is_told(command: str) -> None:
    accepted, kept = replies.accepted(command), replies.kept_as_dead_letter("no JSON", command)
    assert read(accepted) == {"ErrorCode": 0, "ErrorMessage": ""}
    assert accepted in replies.CONSTANT
    assert read(kept) == {"ErrorCode": 0, "ErrorMessage": "kept as a dead letter: no JSON"}
    assert (accepted.status, kept.status) == (200, 200), "another one would have it repeated"
    refused = replies.refused(HTTPStatus.SERVICE_UNAVAILABLE, "no", command)
    assert (refused.status, read(refused)) == (503, {"ErrorCode": 1, "ErrorMessage": "no"})


def test_a_command_of_an_old_webhook_that_nobody_knows_is_answered_in_both_forms() -> None:
    assert read(replies.accepted("newKind")) == {**OK, "ErrorMessage": ""}
    told = "kept as a dead letter: x"
    assert read(replies.kept_as_dead_letter("x", "newKind")) == {**OK, "ErrorInfo": told, "ErrorMessage": told}


def test_a_wrong_method_is_told_which_is_right() -> None:
    assert replies.refused(HTTPStatus.METHOD_NOT_ALLOWED, "no").headers == (("Allow", "POST"),)
    assert replies.refused(HTTPStatus.FORBIDDEN, "no").headers == ()


def test_what_is_refused_or_kept_as_a_dead_letter_is_told_why() -> None:
    refused, kept = replies.refused(HTTPStatus.FORBIDDEN, "no"), replies.kept_as_dead_letter("no JSON")
    assert (refused.status, read(refused)) == (403, {"ActionStatus": "FAIL", "ErrorInfo": "no", "ErrorCode": 1})
    assert (kept.status, read(kept)["ErrorInfo"]) == (200, "kept as a dead letter: no JSON")


def test_what_nearly_every_callback_gets_is_one_and_the_same_object() -> None:
    assert replies.accepted(RECALLED) is replies.accepted("New.Thing") is replies.ACCEPTED
    assert replies.accepted("call_end") in replies.CONSTANT
