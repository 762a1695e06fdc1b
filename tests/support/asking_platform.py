"""The platform as its pages describe it where it does as we answer: what a reply brings about.

Its tables are written down here once more, from the pages themselves, so that a slip in the product is no slip here.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple

import orjson

from tests.support.http import HttpReply

MESSAGES = {"C2C.CallbackBeforeSendMsg", "Group.CallbackBeforeSendMsg", "OfficialAccount.CallbackBeforeSendMsg"}
"""What is dropped by code 2, and may be changed."""
OWN_CODES = {
    "C2C.CallbackBeforeSendMsg": (120001, 130000),
    "OfficialAccount.CallbackBeforeSendMsg": (120001, 130000),
    "OfficialAccount.CallbackBeforeCreateOfficialAccount": (120001, 130000),
    "Group.CallbackBeforeSendMsg": (10100, 10200),
    "Group.CallbackBeforeCreateGroup": (10100, 10200),
    "Group.CallbackBeforeCreateTopic": (10100, 10200),
    "Group.CallbackBeforeApplyJoinGroup": (10100, 10200),
    "Group.CallbackBeforeInviteJoinGroup": (10100, 10200),
    "Live.CallbackBeforeSendGift": (102100, 102200),
    "OfficialAccount.CallbackBeforeAddSubscriber": (1, 1),
}
REFUSED_LISTS = {
    "Group.CallbackBeforeInviteJoinGroup": "RefusedMembers_Account",
    "OfficialAccount.CallbackBeforeAddSubscriber": "RefusedSubscribers_Account",
}
FRIENDS = {"Sns.CallbackPrevFriendAdd": "FriendItem", "Sns.CallbackPrevFriendResponse": "ResponseFriendItem"}
SIGNAL = "Chatbot.OnC2CSignalMessage"
COMMANDS = (*OWN_CODES, *FRIENDS, SIGNAL)


class Effect(NamedTuple):
    """What the platform does."""

    happens: bool
    """Whether what the user wants to do is done, or the chatbot gets the data."""
    told: Any = None
    """The code that the client is told, the accounts that are refused, the new content, or the data."""


class UndocumentedReplyError(AssertionError):
    """No page says what the platform does with such a reply."""


def outcome(command: str, body: dict[str, Any], reply: HttpReply) -> Effect:
    """What the platform does with a reply to the callback with this body.

    Raises:
        UndocumentedReplyError: no page says.
    """
    _require(reply.status == HTTPStatus.OK, f"status {reply.status}")
    fields: Any = reply.json
    for name, kind in {"ActionStatus": str, "ErrorCode": int, "ErrorInfo": str}.items():
        _require(type(fields.get(name)) is kind, f"{name} is {fields.get(name)!r}")
    _require(fields["ActionStatus"] == "OK", "no sample of an answer has another ActionStatus")
    code = fields["ErrorCode"]
    if command == SIGNAL:
        _require(code in {0, 1} and type(fields.get("RspData")) is str, orjson.dumps(fields).decode())
        return Effect(True, fields["RspData"]) if code == 0 else Effect(False)
    if command in FRIENDS:
        return _on_each([item["To_Account"] for item in body[FRIENDS[command]]], fields)
    if code:
        if code == 2 and command in MESSAGES:
            return Effect(False, 0)
        first, last = OWN_CODES[command]
        _require(code == 1 or first <= code <= last, f"code {code}")
        return Effect(False, code)
    changed = {name: fields[name] for name in ("MsgBody", "CloudCustomData") if name in fields}
    _require(not changed or command in MESSAGES, f"{command} cannot be changed")
    for name in REFUSED_LISTS.values():
        _require(name not in fields or REFUSED_LISTS.get(command) == name, f"{name} to {command}")
    return Effect(True, changed or fields.get(REFUSED_LISTS.get(command, "")))


def _on_each(accounts: list[str], fields: dict[str, Any]) -> Effect:
    items: Any = fields.get("ResultItem")
    _require(isinstance(items, list), "ResultItem is required")
    if fields["ErrorCode"]:
        return Effect(True)  # The app has failed: by default all of them pass.
    _require([item["To_Account"] for item in items] == accounts, "a verdict on each account that was asked about")
    for item in items:
        _require(item["ResultCode"] == 0 or 38000 <= item["ResultCode"] <= 39000, f"ResultCode {item['ResultCode']}")
        _require(type(item["ResultInfo"]) is str, "ResultInfo is required")
    refused = {item["To_Account"]: item["ResultCode"] for item in items if item["ResultCode"]}
    return Effect(len(refused) < len(accounts), refused or None)


def _require(is_documented: bool, what: str) -> None:
    if not is_documented:
        raise UndocumentedReplyError(what)
