"""What the platform gets to read, in the form that it documents."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web
from multidict import CIMultiDict

from bridge import registry

_HEADERS = CIMultiDict({"Content-Type": "application/json"})
_CLOSING_HEADERS = CIMultiDict({"Content-Type": "application/json", "Connection": "close"})
_OK = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'


def accepted(*, closing: bool = False) -> web.Response:
    """The callback is durable."""
    return web.Response(body=_OK, headers=_CLOSING_HEADERS if closing else _HEADERS)


def allowed(command: str, body: bytes, *, closing: bool = False) -> web.Response:
    """The platform may go on with what it asked about; `Sns.CallbackPrev*` want that for each account."""
    if not command.lower().startswith("sns."):
        return accepted(closing=closing)
    items = [{"To_Account": account, "ResultCode": 0, "ResultInfo": ""} for account in _asked_about(body)]
    reply = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "ResultItem": items}
    return web.Response(body=orjson.dumps(reply), headers=_CLOSING_HEADERS if closing else _HEADERS)


def failed(status: HTTPStatus, message: str, *, closing: bool = False) -> web.Response:
    """The callback was not accepted; with status 200 it was kept all the same."""
    reply = {"ActionStatus": "FAIL", "ErrorInfo": message, "ErrorCode": 1}
    response = web.Response(body=orjson.dumps(reply), status=status, headers=_CLOSING_HEADERS if closing else _HEADERS)
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = "POST"
    return response


def _asked_about(body: bytes) -> list[str]:
    """The accounts that a body of `Sns.CallbackPrev*` lists, whatever the list is named."""
    try:
        fields: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    lists = [value for value in fields.values() if isinstance(value, list)] if isinstance(fields, dict) else []
    items = [item for value in lists for item in value if isinstance(item, dict)]
    return [item["To_Account"] for item in items if isinstance(item.get("To_Account"), str)]


__all__ = ["accepted", "allowed", "failed", "registry"]
