"""What the platform gets to read, in the form that it documents."""

from __future__ import annotations

from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec
import orjson

from bridge.events import Reply, registry
from bridge.normalize.repair import UnreadableError, load

OK_FIELDS = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}


class PlatformReply(msgspec.Struct, frozen=True, eq=False, gc=False):
    """A reply. It is compared by identity, so that what is made of a constant one is found again quickly."""

    content: bytes
    """JSON."""
    status: HTTPStatus = HTTPStatus.OK
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers."""
    closes: bool = False
    """Whether the connection is not to be used any more."""


def _failed(message: str, status: HTTPStatus, **more: Any) -> PlatformReply:
    return PlatformReply(
        orjson.dumps({"ActionStatus": "FAIL", "ErrorInfo": message, "ErrorCode": 1}), status=status, **more
    )


ACCEPTED = PlatformReply(orjson.dumps(OK_FIELDS))
ACCEPTED_CALL = PlatformReply(orjson.dumps({"ErrorCode": 0, "ErrorMessage": ""}))
"""That a callback of the old call webhook is durable."""
INTERNAL_ERROR = _failed("internal error", HTTPStatus.INTERNAL_SERVER_ERROR, closes=True)
CONSTANT = frozenset((ACCEPTED, ACCEPTED_CALL))
"""Replies that are given again and again."""


@lru_cache(maxsize=256)
def accepted(command: str = "") -> PlatformReply:
    """The callback is durable. The same object for the same command."""
    entry = registry.find(command)
    is_call = entry is not None and entry.callback.reply is Reply.ERROR_MESSAGE
    return ACCEPTED_CALL if is_call else ACCEPTED


def kept_as_dead_letter(detail: str) -> PlatformReply:
    """The callback is durable, and cannot become an event."""
    return _failed(f"kept as a dead letter: {detail}", HTTPStatus.OK)


def refused(status: HTTPStatus, message: str) -> PlatformReply:
    """The callback is not acknowledged. Unless that is for want of room or time, nothing more is read of the client."""
    allow = (("Allow", "POST"),) if status == HTTPStatus.METHOD_NOT_ALLOWED else ()
    return _failed(message, status, headers=allow, closes=status != HTTPStatus.SERVICE_UNAVAILABLE)


def allowed(command: str, body: bytes) -> PlatformReply:
    """The platform may go on with what a before-callback asks about: a verdict on each account where it wants that."""
    if not registry.wants_each(command):
        return ACCEPTED
    items = [{"To_Account": account, "ResultCode": 0, "ResultInfo": ""} for account in asked_about(command, body)]
    return with_fields({**OK_FIELDS, "ResultItem": items})


def with_fields(fields: dict[str, Any]) -> PlatformReply:
    """The callback is answered with these fields of the platform's reply."""
    return PlatformReply(orjson.dumps(fields))


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
