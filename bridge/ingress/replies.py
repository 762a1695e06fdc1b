"""What the platform gets to read, in the form that it documents."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec
import orjson

from bridge.events import registry
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


def _told(command: str, code: int, message: str) -> bytes:
    """A reply in the form that the command has; in both where that is only guessed by its name."""
    has_error_message = registry.wants_error_message(command)
    fields: dict[str, Any] = {}
    if not has_error_message or registry.find(command) is None:
        fields |= {"ActionStatus": "FAIL" if code else "OK", "ErrorInfo": message}
    fields["ErrorCode"] = code
    if has_error_message:
        fields["ErrorMessage"] = message
    return orjson.dumps(fields)


ACCEPTED = PlatformReply(orjson.dumps(OK_FIELDS))
ACCEPTED_CALL = PlatformReply(_told("call_end", 0, ""))
"""That a callback of an old webhook is durable."""
NO_DATA = PlatformReply(orjson.dumps(OK_FIELDS | {"ErrorCode": 1, "RspData": ""}))
"""That there is nothing to hand on, where the platform waits for data."""
CONSTANT = frozenset((ACCEPTED, ACCEPTED_CALL, NO_DATA))
"""Replies that are given again and again."""


def accepted(command: str = "") -> PlatformReply:
    """The callback is durable."""
    if not registry.wants_error_message(command):
        return ACCEPTED
    return ACCEPTED_CALL if registry.find(command) else PlatformReply(_told(command, 0, ""))


def kept_as_dead_letter(detail: str, command: str = "") -> PlatformReply:
    """The callback is durable, and cannot become an event."""
    # An old webhook repeats what is answered with a code: each repetition would become a dead letter, too.
    code = 0 if registry.wants_error_message(command) else 1
    return PlatformReply(_told(command, code, f"kept as a dead letter: {detail}"))


def refused(status: HTTPStatus, message: str, command: str = "") -> PlatformReply:
    """The callback is not acknowledged. Unless that is for want of room or time, nothing more is read of the client."""
    allow = (("Allow", "POST"),) if status == HTTPStatus.METHOD_NOT_ALLOWED else ()
    return PlatformReply(_told(command, 1, message), status=status, headers=allow, closes=closes_after(status))


def closes_after(status: HTTPStatus) -> bool:
    """Whether nothing more is read of a client to whom a refusal with this status is due, whatever it is told."""
    return status != HTTPStatus.SERVICE_UNAVAILABLE


def by_default(command: str, body: bytes) -> PlatformReply:
    """What a callback that awaits an answer is told where nobody is asked: a before-callback is allowed, with a verdict
    on each account where the platform wants that; there are no data."""
    if registry.wants_data(command):
        return NO_DATA
    if not registry.wants_each(command):
        return ACCEPTED
    items = [{"To_Account": account, "ResultCode": 0, "ResultInfo": ""} for account in asked_about(command, body)]
    return with_fields({**OK_FIELDS, "ResultItem": items})


def with_fields(fields: dict[str, Any]) -> PlatformReply:
    """The callback is answered with these fields of the platform's reply."""
    return PlatformReply(orjson.dumps(fields))


def closing(reply: PlatformReply) -> PlatformReply:
    """The same, after which nothing more is read of the client."""
    return msgspec.structs.replace(reply, closes=True)


def asked_about(command: str, body: bytes) -> list[str]:
    """The accounts that a body asks about; without an entry, those of any list in it."""
    entry = registry.find(command)
    if entry is not None and not entry.callback.asks_about:
        return []
    try:
        fields = load(body).fields
    except UnreadableError:
        return []
    name, account = registry.platform_path(entry, entry.callback.asks_about) if entry else (None, "To_Account")
    lists = [fields.get(name)] if name in fields else list(fields.values())
    items = [item for value in lists if isinstance(value, list) for item in value if isinstance(item, dict)]
    accounts: list[Any] = [item.get(account) for item in items]
    return [str(account) for account in accounts if isinstance(account, str | int) and not isinstance(account, bool)]
