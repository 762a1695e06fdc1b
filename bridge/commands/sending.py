"""What `bridge send` does: posts a callback as the platform would."""

from __future__ import annotations

import asyncio
import difflib
import sys
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn

import orjson
import typer

from bridge.contract.examples import made_body
from bridge.contract.fresh import fresh
from bridge.contract.samples import Sample, find_sample, samples
from bridge.devstack.posting import CallbackReply, NoReplyError, UsageError, credentials, post, signed_url
from bridge.events import registry
from bridge.settings import DeveloperSettings
from common import logs
from common.kafka import diagnosis
from common.program import command_line
from common.settings import load_settings
from common.terminal import Output, printable


def list_samples() -> None:
    """Print the names of all documented bodies."""
    for name in samples():
        Output().line(name)


def run(
    name: str,
    *,
    url: str | None,
    app_id: str | None,
    token: str | None,
    body: Path | None,
    changes: Sequence[str],
    same: bool,
) -> NoReturn:
    """Post a callback; for the arguments see `bridge.commands.send`.

    Raises:
        typer.Exit: always; with status 0 if it was acknowledged, 1 if not, 2 if it cannot be posted.
    """
    output = Output()
    logs.configure(log_format="text", level="error")
    diagnosis.watch()
    settings = load_settings(DeveloperSettings)
    try:
        callback = Sample(name, _read(body)) if body else _find(name)
        content = changed(callback.body if body or same else fresh(callback.body), changes)
        signer = credentials(settings, app_id, token)
        address = signed_url(url or f"http://127.0.0.1:{settings.port}/", signer, callback.command)
    except UsageError as error:
        output.error(str(error))
        raise typer.Exit(2) from None
    try:
        reply = asyncio.run(post(address, content))
    except NoReplyError as error:
        output.error(str(error))
        raise typer.Exit(1) from None
    text = printable(reply.body.decode(errors="replace").strip())
    output.line(f"{reply.status} {reply.reason} {text}", "green" if reply.is_accepted else "red")
    if remark := _hint(reply, settings, own_token=token is not None):
        output.remark(remark)
    raise typer.Exit(0 if reply.is_accepted else 1)


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


def _read(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _find(name: str) -> Sample:
    found = find_sample(name) or _made(name)
    if found is None:
        raise UsageError(f"there is no documented body named {name}. {_suggestion(name)}")
    return found


def _made(command: str) -> Sample | None:
    """A callback with every documented field, of a command of whose body there is no sample."""
    entry = registry.find(command)
    return Sample(entry.callback.command, made_body(entry)) if entry else None


def _suggestion(name: str) -> str:
    """The commands that may be meant; a name without its family, as `CallbackAfterSendMsg`, is looked for too."""
    commands = {sample.command.lower(): sample.command for sample in samples().values()}
    without_family = {command.partition(".")[2]: command for command in commands}
    close = difflib.get_close_matches(name.lower(), [*commands, *without_family], n=3)
    meant = dict.fromkeys(commands[without_family.get(match, match)] for match in close)
    advice = f"Did you mean {' or '.join(meant)}? " if meant else ""
    return f"{advice}`{command_line('bridge')} send` lists all; for a body of your own give --body"


def _hint(reply: CallbackReply, settings: DeveloperSettings, *, own_token: bool) -> str | None:
    """What to look at when the callback was refused. `own_token`: whether one was given on the command line."""
    if reply.status != HTTPStatus.FORBIDDEN:
        return None
    if own_token or settings.are_apps_set:
        return "the bridge has another app or token, or its clock differs from the one here"
    return (
        f"BRIDGE_APPS is not set, so it was signed as `{command_line('bridge')} dev` accepts it. For another bridge"
        " set BRIDGE_APPS to what that one has, or give --app and --token"
    )
