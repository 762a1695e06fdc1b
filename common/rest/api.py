"""A call of the platform's REST API.

It answers errors with HTTP status 200 too; `ErrorCode` decides. What to do about a code depends on its class:

| class | codes | what it says |
| --- | --- | --- |
| `busy` | 60007, 60011, 60019 | too many calls, ours or others' |
| `refused` | 50003, other 600xx, 70001-70099, 90001, 90009 | call, signature, rights or app is wrong: for all |
| `account` | 70107, 90003, 90012, 90048 | this account does not exist, or has another form than the platform takes |
| `failing` | any other; HTTP status other than 200; no answer, or none that can be right | trouble over there |
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeVar

import aiohttp
import msgspec
from yarl import URL

from common.rest.app import ImApp
from common.rest.usersig import user_sig
from common.text import printable
from common.unreachable import why_unreachable

ErrorClass = Literal["busy", "refused", "account", "failing"]

_BUSY = frozenset({60007, 60011, 60019})
_ACCOUNT = frozenset({70107, 90003, 90012, 90048})
_PASSING_600XX = frozenset({60008, 60009, 60014})
MAX_REPLY_BYTES = 64 * 1024
"""Of a reply, where nothing else is said; most documented ones have about a hundred."""
_SIGNATURE_VALID_S = 86_400
_SIGNATURE_RENEWED_AFTER_S = 3600


class CallError(Exception):
    """The platform did not do what it was asked for. The message has its words and no secret.

    Args:
        error_class: what is to be done about it.
        message: what is said of it.
        code: the answer's `ErrorCode`, which some calls give a meaning of their own; None: there was no such answer.
    """

    def __init__(self, error_class: ErrorClass, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.error_class = error_class
        self.code = code


class RestAnswer(msgspec.Struct):
    """What every answer has; those of a call add their fields."""

    error_code: int = msgspec.field(name="ErrorCode")
    error_info: str | None = msgspec.field(name="ErrorInfo", default=None)


AnyAnswer = TypeVar("AnyAnswer", bound=RestAnswer)


class _Signature(NamedTuple):
    text: str
    made: float
    app: ImApp
    """Whose key it was made with."""


class RestApi:
    """Calls the API for one app.

    Args:
        session: makes the requests.
        app_id: SdkAppid.
        app: gives its credentials and where it lives, at each call: they may be replaced.
        timeout_s: how long a call may take.
    """

    def __init__(
        self, session: aiohttp.ClientSession, app_id: str, app: Callable[[], ImApp], *, timeout_s: float
    ) -> None:
        self._session = session
        self._app_id = app_id
        self._app = app
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._signature: _Signature | None = None

    async def call(
        self,
        path: str,
        body: Mapping[str, object],
        answer_type: type[AnyAnswer],
        *,
        query: Mapping[str, str] | None = None,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> AnyAnswer:
        """Make a call, and give its answer, whose `ErrorCode` is 0.

        Args:
            path: of the call, such as `v4/openim/get_c2c_unread_msg_num`.
            body: its JSON.
            answer_type: what the answer is read as.
            query: parameters beside those of every call.
            max_reply_bytes: the largest answer.

        Raises:
            CallError: it failed, or was refused.
        """
        app = self._app()
        parameters = {
            "sdkappid": self._app_id,
            "identifier": app.identifier,
            "usersig": self._usersig(app),
            "random": str(random.randrange(2**32)),  # noqa: S311 - no secret: it tells calls apart
            "contenttype": "json",
            **(query or {}),
        }
        url = URL(f"{app.url}/{path}").with_query(parameters)
        reply = await self._post(app.url, url, body, max_reply_bytes)
        try:
            answer = msgspec.json.decode(reply, type=answer_type, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CallError("failing", f"{app.url} answers with something else ({_one_line(str(error))})") from None
        if answer.error_code != 0:
            told = (answer.error_info or "").replace(parameters["usersig"], "…")
            code = answer.error_code
            raise CallError(classify(code), f"error {code}: {_one_line(told)}", code)
        return answer

    async def _post(self, host: str, url: URL, body: Mapping[str, object], max_reply_bytes: int) -> bytes:
        try:
            async with self._session.post(
                url,
                json=body,
                headers={"Accept-Encoding": "identity"},
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                status, reply = response.status, await _read_bounded(response, max_reply_bytes)
                if status != 200:
                    response.close()  # The next call looks up the host anew: this one may be on its way out.
        except aiohttp.ClientConnectorError as error:
            raise CallError("failing", f"{host} cannot be reached ({why_unreachable(error.os_error)})") from None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Not the error's own words: they may hold the address, and so the signature.
            raise CallError("failing", f"{host} does not answer ({type(error).__name__})") from None
        if status != 200:
            raise CallError("failing", f"{host} answers with HTTP status {status}")
        if reply is None:
            raise CallError("failing", f"{host} answers with more than {max_reply_bytes} bytes")
        return reply

    def _usersig(self, app: ImApp) -> str:
        now = time.time()
        known = self._signature
        if known is None or known.app != app or not 0 <= now - known.made < _SIGNATURE_RENEWED_AFTER_S:
            key = app.secret_key.get_secret_value()
            text = user_sig(self._app_id, key, app.identifier, now=int(now), expires_s=_SIGNATURE_VALID_S)
            known = self._signature = _Signature(text, now, app)
        return known.text


def rest_session() -> aiohttp.ClientSession:
    """A session for calls: without cookies, and nothing is unpacked, which could be far larger than what is read."""
    return aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)


async def _read_bounded(response: aiohttp.ClientResponse, max_bytes: int) -> bytes | None:
    """The body of a reply; None where it is too large, and the rest of it is not read."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            response.close()
            return None
    return bytes(body)


def _one_line(text: str | None) -> str:
    """What a stranger says, made harmless for a log: short, in one line, nothing that a terminal obeys."""
    return printable(" ".join((text or "").split())[:200])


def classify(code: int) -> ErrorClass:
    """The class of an `ErrorCode` other than 0."""
    if code in _BUSY:
        return "busy"
    if code in _ACCOUNT:
        return "account"
    is_refused = 60000 <= code < 60100 or 70001 <= code < 70100 or code in {50003, 90001, 90009}
    return "refused" if is_refused and code not in _PASSING_600XX else "failing"
