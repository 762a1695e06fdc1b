"""`bridge send`: posts a callback as the platform would. The documented bodies lie in `bridge/contract/samples`."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import aiohttp
import orjson
from pydantic import Field, SecretStr
from yarl import URL

from bridge.ingress.verify import sign
from bridge.settings import BridgeSettings

DEV_APP = "1400000000"
DEV_TOKEN = "dev-token"  # noqa: S105 - what `bridge dev` accepts where nothing else is configured

TIMEOUT_S = 10.0


class LocalSettings(BridgeSettings):
    """Settings of the commands that a developer uses: BRIDGE_APPS may be absent, and is that of `bridge dev` then."""

    apps: dict[str, list[SecretStr]] = Field(
        {DEV_APP: [SecretStr(DEV_TOKEN)]}, description=BridgeSettings.model_fields["apps"].description
    )

    @property
    def are_apps_set(self) -> bool:
        """Whether BRIDGE_APPS is there."""
        return "apps" in self.model_fields_set


class Callback(NamedTuple):
    """A command and its body."""

    command: str
    body: bytes


class Reply(NamedTuple):
    """What came back."""

    status: int
    reason: str
    body: bytes
    seconds: float

    @property
    def accepted(self) -> bool:
        """Whether the callback was acknowledged."""
        try:
            content = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return False
        return self.status == HTTPStatus.OK and isinstance(content, dict) and content.get("ActionStatus") == "OK"


class UsageError(Exception):
    """Something on the command line is wrong. The message says what to write instead."""


class NoReplyError(Exception):
    """Nobody answered. The message says what to start."""


def samples() -> dict[str, Callback]:
    """Every documented body by the name of its sample, e.g. `C2C.CallbackAfterMsgWithDraw.v1`."""
    found = {}
    for path in files("bridge.contract").joinpath("samples").iterdir():
        if path.name.endswith(".json"):
            name = path.name.removesuffix(".json")
            found[name] = Callback(".".join(name.split(".")[:2]), path.read_bytes().strip())
    return dict(sorted(found.items()))


def find(name: str) -> Callback:
    """A documented body by the name of its sample, or the first one of a command; upper and lower case are equal.

    Raises:
        UsageError: there is none.
    """
    known = samples()
    for sample, callback in known.items():
        if name.lower() in (sample.lower(), callback.command.lower()):
            return callback
    raise UsageError(f"there is no documented body named {name}. {_suggestion(name, known)}")


def _suggestion(name: str, known: Mapping[str, Callback]) -> str:
    commands = {callback.command.lower(): callback.command for callback in known.values()}
    without_family = {command.partition(".")[2]: command for command in commands}
    close = difflib.get_close_matches(name.lower(), [*commands, *without_family], n=3)
    meant = dict.fromkeys(commands[without_family.get(match, match)] for match in close)
    advice = f"Did you mean {' or '.join(meant)}? " if meant else ""
    return f"{advice}For a body of your own give --body. These are known:\n  " + "\n  ".join(known)


def changed(body: bytes, changes: Iterable[str]) -> bytes:
    """The body with some of its fields set, each given as `Field=value`.

    The value is text where the field is text in the body; elsewhere it is JSON, or text where it is no JSON.

    Raises:
        UsageError: a change has no `=`, or the body is no JSON object.
    """
    changes = list(changes)
    if not changes:
        return body
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"--set needs a body that is JSON, and this one is not: {error}") from error
    if not isinstance(fields, dict):
        raise UsageError("--set needs a body that is a JSON object")
    for change in changes:
        name, equals, text = change.partition("=")
        if not (name and equals):
            raise UsageError(f"--set {change}: write it as Field=value, such as UnreadMsgNum=3")
        fields[name] = _value(text, fields.get(name))
    return orjson.dumps(fields, option=orjson.OPT_INDENT_2)


def _value(text: str, present: Any) -> Any:
    if isinstance(present, str):
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def signed_url(url: str, *, app: str, token: str | None, command: str) -> str:
    """The URL that the platform would post to now; without a token it is not signed.

    Raises:
        UsageError: `url` is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{url} is no URL to post to: write it as http://127.0.0.1:8080/")
    query = {
        "SdkAppid": app,
        "CallbackCommand": command,
        "contenttype": "json",
        "ClientIP": "203.0.113.7",
        "OptPlatform": "iOS",
    }
    if token is not None:
        now = str(int(time.time()))
        query |= {"Sign": sign(token, now), "RequestTime": now}
    own = f"{parts.query}&" if parts.query else ""
    return parts._replace(path=parts.path or "/", query=own + urlencode(query)).geturl()


async def post(url: str, body: bytes) -> Reply:
    """Post a body to exactly this URL.

    Raises:
        NoReplyError: there is no reply.
    """
    started = time.perf_counter()
    address = url.partition("?")[0]
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
            session.post(URL(url, encoded=True), data=body, allow_redirects=False) as response,
        ):
            content = await response.read()
            return Reply(response.status, response.reason or "", content, time.perf_counter() - started)
    except TimeoutError as error:
        raise NoReplyError(f"{address} did not answer within {TIMEOUT_S:.0f} s") from error
    except aiohttp.ClientConnectorError as error:
        raise NoReplyError(
            f"nothing answers at {address} ({error.os_error.strerror or error.os_error}). "
            "Start `bridge dev` or `bridge serve`, or name another place with --url"
        ) from error
    except aiohttp.ClientError as error:
        raise NoReplyError(f"{address} did not answer as HTTP does: {error or type(error).__name__}") from error


def credentials(settings: LocalSettings, app: str | None, token: str | None) -> tuple[str, str | None]:
    """The app and the token to sign with: those given, else the first ones of BRIDGE_APPS.

    Raises:
        UsageError: there is no token for the app.
    """
    if app is None:
        app = next(iter(settings.apps))
    if token is not None:
        return app, token
    if app not in settings.apps:
        where = (
            "BRIDGE_APPS has no app" if settings.are_apps_set else "BRIDGE_APPS is not set, so there is no token for"
        )
        raise UsageError(f'{where} {app}: set BRIDGE_APPS to {{"{app}":["its token"]}}, or give --token')
    tokens = settings.apps[app]
    return app, tokens[0].get_secret_value() if tokens else None


def hint(reply: Reply, settings: LocalSettings, *, own_token: bool) -> str | None:
    """What to look at when the callback was refused. `own_token`: whether one was given on the command line."""
    if reply.status != HTTPStatus.FORBIDDEN:
        return None
    if own_token or settings.are_apps_set:
        return "the bridge has another app or token, or its clock differs from the one here"
    return (
        "BRIDGE_APPS is not set, so it was signed as `bridge dev` accepts it. For another bridge set BRIDGE_APPS to "
        "what that one has, or give --app and --token"
    )
