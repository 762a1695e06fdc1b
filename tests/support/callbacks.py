"""Callbacks as the platform sends them: the documented query, documented bodies, and unique ones for load."""

import hashlib
import itertools
import time
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from bridge.contract import samples as contract

APP_ID = "1400000000"
TOKEN = "token-a"
PLATFORM_WAITS_S = 2.0
"""How long the platform waits for a reply before it hangs up."""
RECALLED = "C2C.CallbackAfterMsgWithDraw"
SENT = "C2C.CallbackAfterSendMsg"
READ = "C2C.CallbackAfterMsgReport"

_run = uuid.uuid4().hex[:8]
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class PostedCallback:
    """A command and the exact bytes of its body."""

    command: str
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """The parsed body, a new object at each call."""
        parsed = orjson.loads(self.body)
        assert isinstance(parsed, dict)
        return parsed

    def signed(self, *, app_id: str = APP_ID, token: str | None = TOKEN, **query: str | int | None) -> str:
        """The query that goes with it, see `signed_query`."""
        return signed_query(app_id, token, self.command, **query)


def sign(token: str, request_time: int | str) -> str:
    """`Sign` of the query: lower-case hex."""
    return hashlib.sha256(f"{token}{request_time}".encode()).hexdigest()


def signed_query(
    app_id: str, token: str | None, command: str, *, request_time: int | str | None = None, **params: str | int | None
) -> str:
    """`?SdkAppid=…&CallbackCommand=…&contenttype=json&ClientIP=…&OptPlatform=…&Sign=…&RequestTime=…`, as documented.

    The time is now unless given; without a token both Sign and RequestTime are left out. `params` replaces, adds or
    (None) leaves out parameters by their exact name, `Sign` and `RequestTime` among them.
    """
    query: dict[str, str | int | None] = {
        "SdkAppid": app_id,
        "CallbackCommand": command,
        "contenttype": "json",
        "ClientIP": "203.0.113.7",
        "OptPlatform": "iOS",
    }
    if token is not None:
        request_time = int(time.time()) if request_time is None else request_time
        query |= {"Sign": sign(token, request_time), "RequestTime": request_time}
    return "?" + urlencode({name: value for name, value in {**query, **params}.items() if value is not None})


def samples() -> dict[str, PostedCallback]:
    """Every documented body by the name of its file, such as `C2C.CallbackAfterMsgWithDraw.v1`."""
    return {name: sample(name) for name in contract.samples()}


def sample(name: str) -> PostedCallback:
    """One documented body. Raises KeyError."""
    return PostedCallback(*contract.samples()[name])


def msg_key() -> str:
    """A message key nobody had before, in the documented form of three decimal numbers."""
    return f"{next(_numbers)}_{int(_run, 16)}_{int(time.time())}"


def recalled(to: str, *, unread: int | None = None, event_time: int | None = None, **fields: object) -> PostedCallback:
    """A one-to-one message to `to` was recalled; a new MsgKey unless `fields` has one. Absent where None."""
    return _c2c(RECALLED, {"From_Account": "jared", "To_Account": to, "MsgKey": msg_key()}, unread, event_time, fields)


def sent(to: str, *, unread: int | None = None, event_time: int | None = None, **fields: object) -> PostedCallback:
    """A one-to-one message was sent to `to`; a new MsgKey unless `fields` has one."""
    key = msg_key()
    sequence, random, seconds = (int(part) for part in key.split("_"))
    numbers = {"MsgSeq": sequence, "MsgRandom": random, "MsgTime": seconds, "MsgKey": key}
    outcome = {"SendMsgResult": 0, "ErrorInfo": "send msg succeed"}
    text = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "red packet"}}]
    body = {"From_Account": "jared", "To_Account": to, **numbers, **outcome, "MsgBody": text}
    return _c2c(SENT, body, unread, event_time, fields)


def read(by: str, *, unread: int | None = None, event_time: int | None = None, **fields: object) -> PostedCallback:
    """`by` has read what `Peer_Account` wrote until `LastReadTime`."""
    body = {"Report_Account": by, "Peer_Account": "jared", "LastReadTime": int(time.time())}
    return _c2c(READ, body, unread, event_time, fields)


def _c2c(
    command: str, body: dict[str, Any], unread: int | None, event_time: int | None, fields: dict[str, object]
) -> PostedCallback:
    counted = {"UnreadMsgNum": unread, "EventTime": event_time}
    present = {name: value for name, value in counted.items() if value is not None}
    return PostedCallback(command, orjson.dumps({"CallbackCommand": command, **body, **present, **fields}))
