"""Posts callbacks as the platform does, signed, for the commands with which people try things out."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import aiohttp
import orjson
from yarl import URL

from bridge.events import registry
from bridge.ingress.verify import sign
from bridge.settings import DeveloperSettings
from common.program import command_line
from common.unreachable import why_unreachable

REPLY_TIMEOUT_S = 10.0


class UsageError(Exception):
    """What was asked for cannot be posted. The message says what to write instead."""


class NoReplyError(Exception):
    """Nobody answered. The message says what to start."""


class Credentials(NamedTuple):
    """In whose name a callback is posted."""

    app: str
    """SdkAppid."""
    token: str | None
    """None where the app's callbacks are not signed."""


class CallbackReply(NamedTuple):
    """What came back."""

    status: int
    reason: str
    body: bytes
    seconds: float

    @property
    def is_accepted(self) -> bool:
        """Whether the callback was acknowledged."""
        try:
            content = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return False
        if self.status != HTTPStatus.OK or not isinstance(content, dict):
            return False
        is_old = "ErrorMessage" in content and content.get("ErrorCode") == 0  # As old webhooks are answered.
        return is_old or content.get("ActionStatus") == "OK"


def credentials(settings: DeveloperSettings, app: str | None = None, token: str | None = None) -> Credentials:
    """The app and the token to sign with: those given, else the first ones of BRIDGE_APPS.

    Raises:
        UsageError: there is no token for the app.
    """
    if app is None:
        app = next(iter(settings.apps))
    if token is not None:
        return Credentials(app, token)
    if app not in settings.apps:
        where = (
            "BRIDGE_APPS has no app" if settings.are_apps_set else "BRIDGE_APPS is not set, so there is no token for"
        )
        raise UsageError(f'{where} {app}: set BRIDGE_APPS to {{"{app}":["its token"]}}, or give --token')
    tokens = settings.apps[app]
    return Credentials(app, tokens[0].get_secret_value() if tokens else None)


def signed_url(url: str, signer: Credentials, command: str, *, client_ip: str = "203.0.113.7") -> str:
    """The URL that the platform would post to now; without a token it is not signed.

    Args:
        url: where the bridge is.
        signer: in whose name it is posted.
        command: of the callback.
        client_ip: of the user whose deed it tells of.

    Raises:
        UsageError: `url` is none.
    """
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # of brackets and ports
        is_whole = False
    if not is_whole:
        raise UsageError(f"{url} is no URL to post to: write it as http://127.0.0.1:8080/")
    query = {
        "SdkAppid": signer.app,
        "CallbackCommand": command,
        "contenttype": "json",
        "ClientIP": client_ip,
        "OptPlatform": "iOS",
    }
    query = as_named_for(command, query)
    if signer.token is not None:
        now = str(int(time.time()))
        query |= {"Sign": sign(signer.token, now), "RequestTime": now}
    own = f"{parts.query}&" if parts.query else ""
    return parts._replace(path=parts.path or "/", query=own + urlencode(query)).geturl()


def as_named_for(command: str, query: dict[str, str]) -> dict[str, str]:
    """The parameters of a callback's URL by the names that they have for this command: the old webhooks have others."""
    if not registry.wants_error_message(command):
        return query
    return {"command" if name == "CallbackCommand" else name.lower(): value for name, value in query.items()}


async def post(url: str, body: bytes) -> CallbackReply:
    """Post a body to exactly this URL.

    Raises:
        NoReplyError: there is no reply.
    """
    started = time.perf_counter()
    address = url.partition("?")[0]
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REPLY_TIMEOUT_S)) as session,
            session.post(URL(url, encoded=True), data=body, allow_redirects=False) as response,
        ):
            content = await response.read()
            return CallbackReply(response.status, response.reason or "", content, time.perf_counter() - started)
    except UnicodeError as error:
        raise NoReplyError(f"{address} names no host that there can be: see --url") from error
    except TimeoutError as error:
        raise NoReplyError(f"{address} did not answer within {REPLY_TIMEOUT_S:.0f} s") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise NoReplyError(f"{address} is not posted to: {why_unreachable(error.certificate_error)}") from error
    except aiohttp.ClientConnectorError as error:
        bridge = command_line("bridge")
        raise NoReplyError(
            f"nothing answers at {address} ({why_unreachable(error.os_error)}). "
            f"Start `{bridge} dev` or `{bridge} serve`, or name another place with --url"
        ) from error
    except aiohttp.ClientError as error:
        raise NoReplyError(f"{address} did not answer as HTTP does: {error or type(error).__name__}") from error
