"""The platform's REST API, as far as we need it: how many messages has a user not read?

It answers errors with HTTP status 200 too; `ErrorCode` decides. What to do about a code depends on its class:

| class | codes | what it says |
| --- | --- | --- |
| `busy` | 60007, 60011, 60019 | too many calls, ours or others' |
| `refused` | other 600xx, 70001-70099, 90001, 90009 | call, signature or app is wrong: for any account |
| `account` | 70107, 90003, 90012, 90048 | this account does not exist, or has another form than the platform takes |
| `failing` | any other; HTTP status other than 200; no answer, or none that can be right | trouble over there |
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Literal, NamedTuple

import aiohttp
import msgspec
from yarl import URL

from common.text import printable
from consumers.badges.badge_event import MAX_COUNT
from consumers.reconcile.usersig import user_sig
from consumers.settings import ImApp

ErrorClass = Literal["busy", "refused", "account", "failing"]

_PATH = "v4/openim/get_c2c_unread_msg_num"
_BUSY = frozenset({60007, 60011, 60019})
_ACCOUNT = frozenset({70107, 90003, 90012, 90048})
_PASSING_600XX = frozenset({60008, 60009, 60014})
MAX_REPLY_BYTES = 64 * 1024
"""Of a reply; the documented one has about a hundred."""
_SIGNATURE_VALID_S = 86_400
_SIGNATURE_RENEWED_AFTER_S = 3600


class CallError(Exception):
    """The platform did not say the number. The message has its words and no secret."""

    def __init__(self, error_class: ErrorClass, message: str) -> None:
        super().__init__(message)
        self.error_class = error_class


class _Answer(msgspec.Struct):
    error_code: int = msgspec.field(name="ErrorCode")
    error_info: str | None = msgspec.field(name="ErrorInfo", default=None)
    unread: int | None = msgspec.field(name="AllC2CUnreadMsgNum", default=None)


class _Signature(NamedTuple):
    text: str
    made: float
    app: ImApp
    """Whose key it was made with."""


_decode = msgspec.json.Decoder(_Answer, strict=False).decode


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

    async def unread(self, account: str) -> int:
        """Unread one-to-one messages of an account, now.

        Raises:
            CallError: it could not be told.
        """
        app = self._app()
        query = {
            "sdkappid": self._app_id,
            "identifier": app.identifier,
            "usersig": self._usersig(app),
            "random": str(random.randrange(2**32)),  # noqa: S311 - no secret: it tells calls apart
            "contenttype": "json",
        }
        url = URL(f"{app.url}/{_PATH}").with_query(query)
        try:
            async with self._session.post(
                url,
                json={"To_Account": account},
                headers={"Accept-Encoding": "identity"},
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                status, body = response.status, await _read_bounded(response)
                if status != 200:
                    response.close()  # The next call looks up the host anew: this one may be on its way out.
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            # Not the error's own words: they may hold the address, and so the signature.
            raise CallError("failing", f"{app.url} does not answer ({type(error).__name__})") from None
        if status != 200:
            raise CallError("failing", f"{app.url} answers with HTTP status {status}")
        if body is None:
            raise CallError("failing", f"{app.url} answers with more than {MAX_REPLY_BYTES} bytes")
        try:
            answer = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CallError("failing", f"{app.url} answers with something else ({_one_line(str(error))})") from None
        if answer.error_code != 0:
            raise CallError(
                classify(answer.error_code), f"error {answer.error_code}: {_one_line(answer.error_info or '')}"
            )
        if answer.unread is None:
            raise CallError("failing", "the answer has no number")
        if not 0 <= answer.unread <= MAX_COUNT:
            raise CallError("failing", f"the answer has a number that no count can be: {answer.unread}")
        return answer.unread

    def _usersig(self, app: ImApp) -> str:
        now = time.time()
        known = self._signature
        if known is None or known.app != app or not 0 <= now - known.made < _SIGNATURE_RENEWED_AFTER_S:
            key = app.secret_key.get_secret_value()
            text = user_sig(self._app_id, key, app.identifier, now=int(now), expires_s=_SIGNATURE_VALID_S)
            known = self._signature = _Signature(text, now, app)
        return known.text


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes | None:
    """The body of a reply; None where it is too large, and the rest of it is not read."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
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
    is_refused = 60000 <= code < 60100 or 70001 <= code < 70100 or code in {90001, 90009}
    return "refused" if is_refused and code not in _PASSING_600XX else "failing"
