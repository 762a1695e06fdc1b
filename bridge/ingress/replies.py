"""What the platform gets to read, in the form that it documents."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import Any

import orjson

from bridge.events import Reply, registry
from bridge.http.response import ReadyMadeReply
from bridge.normalize.repair import UnreadableError, load

_OK = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
_OK_OLD = b'{"ErrorCode":0,"ErrorMessage":""}'
# Indexed by whether the connection is closed.
_ACCEPTED = ReadyMadeReply(_OK, closing=False), ReadyMadeReply(_OK, closing=True)
_ACCEPTED_OLD = ReadyMadeReply(_OK_OLD, closing=False), ReadyMadeReply(_OK_OLD, closing=True)


def accepted(command: str = "", *, closing: bool = False) -> ReadyMadeReply:
    """The callback is durable."""
    return (_ACCEPTED_OLD if _is_old(command) else _ACCEPTED)[closing]


@lru_cache
def _is_old(command: str) -> bool:
    entry = registry.find(command)
    return entry is not None and entry.callback.reply is Reply.ERROR_MESSAGE


def allowed(command: str, body: bytes, *, closing: bool = False) -> ReadyMadeReply:
    """The platform may go on with what it asked about; in the form of the entry, or what the name suggests."""
    if not wants_each(command):
        return accepted(closing=closing)
    items = [{"To_Account": account, "ResultCode": 0, "ResultInfo": ""} for account in asked_about(command, body)]
    return decided({"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "ResultItem": items}, closing=closing)


def decided(reply: dict[str, Any], *, closing: bool = False) -> ReadyMadeReply:
    """The platform is told these fields."""
    return ReadyMadeReply(orjson.dumps(reply), closing=closing)


def failed(status: HTTPStatus, message: str, *, closing: bool = False) -> ReadyMadeReply:
    """The callback was not accepted; with status 200 it was kept all the same."""
    reply = {"ActionStatus": "FAIL", "ErrorInfo": message, "ErrorCode": 1}
    more = {"Allow": "POST"} if status == HTTPStatus.METHOD_NOT_ALLOWED else {}
    return ReadyMadeReply(orjson.dumps(reply), status, more, closing=closing)


def wants_each(command: str) -> bool:
    """Whether the platform wants a verdict for each account; for a command without an entry its name suggests it."""
    entry = registry.find(command)
    return entry.callback.reply is Reply.ALLOW_EACH if entry else command.lower().startswith("sns.")


def asked_about(command: str, body: bytes) -> list[str]:
    """The accounts that a body asks about; without an entry, those of any list in it."""
    entry = registry.find(command)
    try:
        fields = load(body).fields
    except UnreadableError:
        return []
    name, account = registry.platform_path(entry, entry.callback.asks_about) if entry else (None, "To_Account")
    lists = [fields.get(name)] if name in fields else list(fields.values())
    items = [item for value in lists if isinstance(value, list) for item in value if isinstance(item, dict)]
    accounts: list[Any] = [item.get(account) for item in items]
    return [str(account) for account in accounts if isinstance(account, str | int) and not isinstance(account, bool)]


__all__ = ["accepted", "allowed", "asked_about", "decided", "failed", "wants_each"]
