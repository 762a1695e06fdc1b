"""The platform's REST API as it is documented: a real HTTP server that verifies signatures and counts calls."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from tests.support.im_archive import PlatformArchive
from tests.support.threaded_server import STOP_S, ThreadedServer

APP_ID = "1400000000"
HISTORY_RATE = 10
"""Calls of `get_history` in any second."""
SECRET_KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
ADMIN = "administrator"


def unpack_user_sig(text: str) -> dict[str, Any]:
    """The JSON document inside a UserSig."""
    packed = base64.b64decode(text.replace("*", "+").replace("-", "/").replace("_", "="), validate=True)
    document = json.loads(zlib.decompress(packed))
    assert isinstance(document, dict)
    return document


def signature_fault(text: str, *, app_id: str = APP_ID, identifier: str = ADMIN, key: str = SECRET_KEY) -> int:
    """The platform's error code for a UserSig, 0 for a good one."""
    try:
        document = unpack_user_sig(text)
        signed = "".join(
            f"{name}:{document[name]}\n" for name in ("TLS.identifier", "TLS.sdkappid", "TLS.time", "TLS.expire")
        )
        right = base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest()).decode()
        if document["TLS.ver"] != "2.0" or not hmac.compare_digest(document["TLS.sig"], right):
            return 70009
        if document["TLS.time"] + document["TLS.expire"] < time.time():
            return 70001
    except (ValueError, KeyError, zlib.error):
        return 70003
    if document["TLS.identifier"] != identifier:
        return 70013
    return 0 if document["TLS.sdkappid"] == int(app_id) else 70014


class ImPlatform(ThreadedServer):
    """Serves on a port of its own, in a thread of its own, within the block.

    `counts` are the unread totals; an account without one does not exist (90012). `fault` may give an error code or an
    HTTP status (`http:502`) for a call instead; `delay_s` is how long an answer takes; more than `rate` calls in any
    second are refused with 60011. `archive` has the messages of past hours.
    """

    def __init__(self, *, rate: int = 200) -> None:
        super().__init__()
        self.rate = rate
        self.counts: dict[str, int] = {}
        self.fault: Callable[[str], int | str | None] = lambda _: None
        self.before_answer: Callable[[str], None] = lambda _: None
        self.before_signature: Callable[[str], None] = lambda _: None
        """Given the UserSig of each call."""
        self.error_info: Callable[[str], str] | None = None
        """UserSig → what is said of an error."""
        self.raw_reply: bytes | None = None
        """Answered to every call, where it is set."""
        self.delay_s = 0.0
        self.calls: list[tuple[float, str, int]] = []
        """Of each call: when (monotonic), account or `nettype=…` or `C2C 2026112510`, error code of the answer."""
        self.networks: dict[str, Any] = {}
        """`nettype` → the IPList that is answered; of none: an empty one."""
        self.archive = PlatformArchive()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def credentials(self, **changes: str) -> str:
        """CONSUMERS_IM_APPS or BRIDGE_IM_APPS for this server."""
        app = {"secret_key": SECRET_KEY, "identifier": ADMIN, "host": self.url}
        return json.dumps({APP_ID: {**app, **changes}})

    def asked(self, account: str) -> int:
        """How many calls were made for an account, or for `nettype=…`."""
        return sum(1 for _, name, _ in self.calls if name == account)

    def make_runner(self) -> web.BaseRunner:
        """The documented calls that are used."""
        app = web.Application()
        app.router.add_post("/v4/openim/get_c2c_unread_msg_num", self._unread)
        app.router.add_post("/v4/ConfigSvc/GetIPList", self._ip_list)
        app.router.add_post("/v4/open_msg_svc/get_history", self._history)
        app.router.add_get("/archive/{key}", self.archive.download)
        return web.AppRunner(app, access_log=None, shutdown_timeout=STOP_S)

    async def _unread(self, request: web.Request) -> web.Response:
        query = _query(request)
        try:
            account = (await request.json())["To_Account"]
        except (ValueError, KeyError, TypeError):
            return self._answer("", 90001)

        def fields() -> dict[str, Any]:
            found = {"AllC2CUnreadMsgNum": self.counts[account]}
            self.before_answer(account)
            return found

        return await self._reply(account, query, fields, missing=0 if account in self.counts else 90012)

    async def _ip_list(self, request: web.Request) -> web.Response:
        query = _query(request)
        nettype = query.pop("nettype", "0")
        if await request.json() != {} or nettype not in set("0123456"):
            return self._answer("", 60002)
        return await self._reply(
            f"nettype={nettype}", query, lambda: {"IPList": self.networks.get(nettype, [])}, missing=0
        )

    async def _history(self, request: web.Request) -> web.Response:
        query, body = _query(request), await request.json()
        chat_type, hour = body.get("ChatType"), body.get("MsgTime")
        subject = f"{chat_type} {hour}"
        now = time.monotonic()
        recent = sum(1 for at, name, _ in self.calls if " " in name and now - at < 1)
        missing = 60011 if recent >= HISTORY_RATE else self.archive.code(chat_type, hour)
        return await self._reply(
            subject, query, lambda: {"File": self.archive.files(self.url, chat_type, hour)}, missing=missing
        )

    async def _reply(
        self, subject: str, query: dict[str, str], fields: Callable[[], dict[str, Any]], *, missing: int
    ) -> web.Response:
        await asyncio.sleep(self.delay_s)
        if self.raw_reply is not None:
            self.calls.append((time.monotonic(), subject, 0))
            return web.Response(body=self.raw_reply)
        self.before_signature(query.get("usersig", ""))
        fault = self.fault(subject)
        if isinstance(fault, str):
            self.calls.append((time.monotonic(), subject, -1))
            return web.Response(status=int(fault.removeprefix("http:")), text="<html>gateway</html>")
        told = None if self.error_info is None else self.error_info(query.get("usersig", ""))
        return self._answer(subject, fault or self._code(query) or missing, fields, told=told)

    def _code(self, query: dict[str, str]) -> int:
        if query.keys() != {"sdkappid", "identifier", "usersig", "random", "contenttype"}:
            return 60004
        if query["contenttype"] != "json" or not 0 <= int(query["random"]) < 2**32:
            return 60002
        if fault := signature_fault(query["usersig"], app_id=query["sdkappid"], identifier=query["identifier"]):
            return fault
        if query["identifier"] != ADMIN:
            return 50003
        now = time.monotonic()
        return 60011 if sum(1 for at, _, _ in self.calls if now - at < 1) >= self.rate else 0

    def _answer(
        self, subject: str, code: int, fields: Callable[[], dict[str, Any]] = dict, *, told: str | None = None
    ) -> web.Response:
        self.calls.append((time.monotonic(), subject, code))
        if code:
            info = told or f"refused {code}"
            return web.json_response({"ActionStatus": "FAIL", "ErrorInfo": info, "ErrorCode": code})
        return web.json_response({"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, **fields()})


def _query(request: web.Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.raw_path).query).items()}
