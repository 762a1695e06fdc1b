"""The callback that became an event, rebuilt of what the event has of it, under the platform's names."""

from __future__ import annotations

import shlex
from urllib.parse import quote

import msgspec
import orjson
from aiokafka import ConsumerRecord

from bridge.console.hiding import HIDDEN, Hiding
from bridge.contract.json_schema import Json
from bridge.contract.rebuilt_body import body_of_record
from bridge.contract.record_line import NOT_WRITTEN, json_text
from bridge.devstack.posting import as_named_for
from common.text import text_of


class RebuiltCallback(msgspec.Struct):
    """A callback, as far as its event tells."""

    command: str
    query: dict[str, str]
    """Without the signature."""
    body: str
    """JSON in lines, as text, so that no browser rounds its numbers; or what the original was, where that is none."""
    is_json: bool
    is_original: bool
    """Whether it is the body as it came (BRIDGE_KEEP_RAW); else it is rebuilt, and may be written differently."""
    is_whole: bool
    """Whether nothing of it is hidden: only then can it be posted again."""
    curl: str
    """A line for the shell that posts it, signed with the token in $TOKEN at that moment; empty where it is hidden."""
    bridge_send: str


def callback_of(record: ConsumerRecord, event: Json, hiding: Hiding, *, url: str) -> RebuiltCallback:
    """The callback of an event.

    Args:
        record: that the event is in.
        event: it.
        hiding: what is not shown.
        url: where to post it.
    """
    command = text_of(event.get("callbackcommand"))
    query = {
        "SdkAppid": text_of(event.get("source")).rpartition("/")[2],
        "CallbackCommand": command,
        "contenttype": "json",
        "ClientIP": text_of(event.get("clientip")),
        "OptPlatform": text_of(event.get("platform")),
    }
    query = as_named_for(command, {name: value for name, value in query.items() if value})
    body, is_original = body_of_record(record, event)
    if json_text(body) == NOT_WRITTEN:
        body = NOT_WRITTEN
    shown = hiding.shown(body) if not isinstance(body, str) or not hiding.is_active else HIDDEN
    seen_query = {
        name: value if hiding.shown({name: value}) == {name: value} else HIDDEN for name, value in query.items()
    }
    is_whole = shown == body and seen_query == query
    is_json = not isinstance(body, str)
    told = orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode() if is_json else str(shown)
    text = orjson.dumps(body).decode() if is_json else str(body)
    send = f"bridge send {shlex.quote(command)} --body - --url {shlex.quote(url)} <<'END'\n{text}\nEND"
    return RebuiltCallback(
        command=command,
        query=seen_query,
        body=told,
        is_json=is_json,
        is_original=is_original,
        is_whole=is_whole,
        curl=_curl(query, text, url) if is_whole else "",
        bridge_send=send if is_whole and is_json else "",
    )


def _curl(query: dict[str, str], body: str, url: str) -> str:
    """Signs when it is run, so that no token stands in it and it works tomorrow."""
    given = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    signed = 'RequestTime=$T&Sign=$(printf %s "$TOKEN$T" | sha256sum | cut -c1-64)'
    return f'T=$(date +%s); curl -sS -d {shlex.quote(body)} {shlex.quote(f"{url}?{given}&")}"{signed}"'
