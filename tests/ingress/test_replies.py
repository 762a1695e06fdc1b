"""Every callback is answered in the form that the platform documents for it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
import pytest

from bridge.contract.examples import made_body
from bridge.events import registry
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
def test_every_before_callback_is_allowed_in_its_documented_form(entry: registry.Entry) -> None:
    reply = read(replies.allowed(entry.callback.command, made_body(entry)))
    assert {name: reply[name] for name in OK} == OK
    assert ("ResultItem" in reply) == bool(entry.callback.asks_about)


def test_a_friend_request_is_allowed_for_each_account() -> None:
    callback = sample("Sns.CallbackPrevFriendAdd")
    assert read(replies.allowed(callback.command, callback.body))["ResultItem"] == [
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
    assert [item["To_Account"] for item in read(replies.allowed(command, body))["ResultItem"]] == accounts


@pytest.mark.parametrize("command", ["", RECALLED, "New.Thing", "Sns.CallbackFriendAdd"])
def test_an_after_callback_is_accepted_in_one_form(command: str) -> None:
    assert read(replies.accepted(command)) == OK


def test_the_old_call_webhook_is_answered_in_its_own_form() -> None:
    assert read(replies.accepted("call_end")) == {"ErrorCode": 0, "ErrorMessage": ""}


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
