"""The paths of the console, and what answers each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from aiohttp import web

from bridge.console import samples
from bridge.console.access import Access, TooManySignInsError
from bridge.console.badges import badges_of
from bridge.console.connections import Connections
from bridge.console.guarding import guard, refusal
from bridge.console.letters import DeadLetterView
from bridge.console.live_filter import LiveFilter
from bridge.console.page_files import HEADERS, INDEX, PageFiles
from bridge.console.parts import ConsoleParts
from bridge.console.record_detail import detail_of
from bridge.console.viewer import Viewer
from common.dead_letter_filter import INGRESS, DeadLetterFilter, parse_name, parse_time

MAX_REQUEST_BYTES = 512 * 1024
AT_A_TIME = 8
"""So many may have Kafka read for what they open."""
BODY_S = 20.0
WRITE_S = 20.0
"""So long a browser may not read while it is sent an export, which others wait for."""

_encode = msgspec.json.Encoder().encode


def make_application(parts: ConsoleParts, connections: Connections) -> web.Application:
    """The application that serves the page, and tells `connections` of each request."""
    settings = parts.settings
    token = settings.console_token.get_secret_value() if settings.console_token else None
    access = Access(token, frozenset(settings.console_hosts), settings.console_look_from)
    paths = Paths(parts, access)
    application = web.Application(
        middlewares=[guard(access, settings.kafka_bootstrap_servers), connections.mark],
        client_max_size=MAX_REQUEST_BYTES,
    )
    application.router.add_routes(
        [
            web.get("/", paths.index),
            web.get("/assets/{name:.+}", paths.asset),
            web.get("/healthz", paths.healthz),
            web.get("/api/access", paths.access),
            web.post("/api/session", paths.sign_in),
            web.delete("/api/session", paths.sign_out),
            web.get("/api/live", paths.live, allow_head=False),
            web.get("/api/health", paths.health),
            web.get("/api/history", paths.history),
            web.get("/api/record", paths.record),
            web.get("/api/badge", paths.badge),
            web.get("/api/letters", paths.letters),
            web.get("/api/letters/export", paths.export, allow_head=False),
            web.get("/api/letters/{name}", paths.letter),
            web.post("/api/letters/replay", paths.replay),
            web.post("/api/letters/drop", paths.drop),
            web.get("/api/jobs/{id}", paths.job),
            web.delete("/api/jobs/{id}", paths.end_job),
            web.get("/api/commands", paths.commands),
            web.get("/api/commands/{name}", paths.command),
            web.post("/api/send", paths.send),
        ]
    )
    return application


class Paths:
    """Answers requests that were let through.

    Args:
        parts: what knows the answers.
        access: who may do what.
    """

    def __init__(self, parts: ConsoleParts, access: Access) -> None:
        self._parts = parts
        self._access = access
        self._files = PageFiles()
        self._letters = DeadLetterView(parts.settings, parts.live.hiding)
        self._turns = asyncio.Semaphore(AT_A_TIME)

    async def index(self, request: web.Request) -> web.Response:
        """The page."""
        return self._files.answer(INDEX, request)

    async def asset(self, request: web.Request) -> web.Response:
        """A file of the page."""
        return self._files.answer(request.match_info["name"], request)

    async def healthz(self, _request: web.Request) -> web.Response:
        """Whether the process lives."""
        return web.Response(text="ok\n")

    async def access(self, request: web.Request) -> web.Response:
        """What this browser may do here, and what there is to see."""
        settings = self._parts.settings
        right = self._access.right_of(request)
        told: dict[str, Any] = {"right": right, "has_token": self._access.has_token}
        if right != "none":
            told |= {
                "version": version("im-bridge"),
                "can_send": bool(settings.console_send_url),
                "apps": list(settings.apps) if settings.console_send_url else [],
                "topics": {"events": settings.topic, "letters": settings.dlq_topic},
                "workers": self._parts.health.workers_by_group(),
                "hidden": settings.hidden_fields,
                "well": self._parts.health.report.well,
            }
        return _json(told)

    async def sign_in(self, request: web.Request) -> web.Response:
        """Give a session for the token."""
        if not self._access.has_token:
            return refusal(HTTPStatus.FORBIDDEN, "there is no token to sign in with: set BRIDGE_CONSOLE_TOKEN")
        given = (await _content(request)).get("token")
        try:
            value = await self._access.sign_in(request, given if isinstance(given, str) else "")
        except TooManySignInsError:
            return refusal(HTTPStatus.TOO_MANY_REQUESTS, "others are signing in right now: try again")
        if value is None:
            return refusal(HTTPStatus.FORBIDDEN, "that is not the token (BRIDGE_CONSOLE_TOKEN)")
        response = _json({"right": "change"})
        self._access.set_cookie(request, response, value)
        return response

    async def sign_out(self, request: web.Request) -> web.Response:
        """End the session."""
        self._access.sign_out(request)
        response = _json({})
        self._access.set_cookie(request, response, "")
        return response

    async def live(self, request: web.Request) -> web.StreamResponse:
        """What comes, as server-sent events."""
        viewer = Viewer(LiveFilter.of_query(request.query), cut_off=lambda: _cut_off(request))
        self._parts.live.join(viewer)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        response.headers.update(HEADERS)
        try:
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                await viewer.send(response, lambda: self._access.right_of(request) != "none")
        finally:
            self._parts.live.leave(viewer)
        _cut_off(request)
        return response

    async def health(self, _request: web.Request) -> web.Response:
        """How all is."""
        return _json(self._parts.health.report)

    async def history(self, _request: web.Request) -> web.Response:
        """What is charted of the last hour."""
        return _json(list(self._parts.health.history))

    async def record(self, request: web.Request) -> web.Response:
        """A record whole."""
        query = request.query
        place = (query.get("topic", ""), _number(query, "partition"), _number(query, "offset"))
        if place[0] not in self._parts.live.topics:
            raise ValueError("the page shows the topics of events, dead letters and badges only")
        parts = self._parts
        async with self._turns:
            found = await detail_of(parts.settings, parts.live, parts.health.report, place)
        return (
            refusal(HTTPStatus.NOT_FOUND, "Kafka does not have that record any more") if found is None else _json(found)
        )

    async def badge(self, request: web.Request) -> web.Response:
        """An account's badge."""
        account = request.query.get("account", "").strip()
        if not account:
            raise ValueError("name an account")
        parts = self._parts
        if parts.live.hiding.hides_accounts:
            raise ValueError(
                "accounts are hidden here (BRIDGE_CONSOLE_HIDE), and an answer about one would tell of its events:"
                " `consumers badge get` tells of badges"
            )
        app = request.query.get("app") or None
        async with self._turns:
            return _json(await badges_of(parts.settings, parts.live, parts.desk, account, app))

    async def letters(self, request: web.Request) -> web.Response:
        """The dead letters that fit."""
        return _json(await self._letters.list(_chosen(request.query), done_too="all" in request.query))

    async def letter(self, request: web.Request) -> web.Response:
        """A dead letter whole."""
        name = parse_name(request.match_info["name"])
        found = await self._letters.find(name)
        if found is None:
            return refusal(HTTPStatus.NOT_FOUND, f"there is no dead letter {name}: its topic keeps it no longer")
        return _json({"letter": found[0], "record": found[1]})

    async def export(self, request: web.Request) -> web.StreamResponse:
        """The dead letters that fit, to be saved."""
        chosen = _chosen(request.query)
        headers = {
            "Content-Type": "application/x-ndjson",
            "Content-Disposition": 'attachment; filename="dead-letters.ndjson"',
        }
        response = web.StreamResponse(headers=headers | HEADERS)
        await response.prepare(request)
        try:
            async with contextlib.aclosing(self._letters.export(chosen, done_too="all" in request.query)) as lines:
                async for line in lines:
                    async with asyncio.timeout(WRITE_S):
                        await response.write(line)
        except BaseException:
            # Its beginning has left: only an end before its time tells the browser that this is not all.
            _cut_off(request)
            raise
        await response.write_eof()
        return response

    async def replay(self, request: web.Request) -> web.Response:
        """Begin to give letters to who gave them up."""
        content = await _content(request)
        chosen = self._chosen_to_change(content)
        worker = str(content.get("worker", ""))
        if worker != INGRESS and worker not in self._parts.settings.console_workers:
            raise ValueError(f"{worker or 'no worker'} is not among BRIDGE_CONSOLE_WORKERS: put it there")
        if worker == INGRESS:
            chosen = replace(chosen, group=INGRESS)
        return _json(self._parts.jobs.replay(chosen, worker, dry_run=content.get("dry_run") is not False))

    async def drop(self, request: web.Request) -> web.Response:
        """Begin to mark letters as done."""
        content = await _content(request)
        chosen = self._chosen_to_change(content)
        if chosen == DeadLetterFilter() and content.get("every") is not True:
            raise ValueError("say which: give a filter, or `every` for all that are open")
        return _json(self._parts.jobs.drop(chosen, dry_run=content.get("dry_run") is not False))

    def _chosen_to_change(self, content: Mapping[str, Any]) -> DeadLetterFilter:
        chosen = _chosen(content)
        # What a callback that is no event calls its type is text of a callback.
        may_tell = chosen.account is not None or (chosen.type is not None and chosen.group in {None, INGRESS})
        if may_tell and self._parts.live.hiding.is_active:
            raise ValueError(
                "while something is hidden (BRIDGE_CONSOLE_HIDE) letters are not chosen by account, nor by type without"
                " the group of a worker, for their number would tell what is in them: replay or drop them one by one,"
                " or with `bridge dlq` and `consumers dlq`"
            )
        return chosen

    async def job(self, request: web.Request) -> web.Response:
        """How far something is."""
        found = self._parts.jobs.find(request.match_info["id"])
        return refusal(HTTPStatus.NOT_FOUND, "that is too long ago") if found is None else _json(found)

    async def end_job(self, request: web.Request) -> web.Response:
        """End something before it is done."""
        found = await self._parts.jobs.end(request.match_info["id"])
        return refusal(HTTPStatus.NOT_FOUND, "that is too long ago") if found is None else _json(found)

    async def commands(self, _request: web.Request) -> web.Response:
        """The documented callbacks."""
        return _json(samples.commands())

    async def command(self, request: web.Request) -> web.Response:
        """One of them as a form."""
        found = samples.form_of(request.match_info["name"])
        return refusal(HTTPStatus.NOT_FOUND, "no page documents that callback") if found is None else _json(found)

    async def send(self, request: web.Request) -> web.Response:
        """Post a sample."""
        settings = self._parts.settings
        if not settings.console_send_url:
            return refusal(HTTPStatus.FORBIDDEN, "nothing is posted from here: set BRIDGE_CONSOLE_SEND_URL to do so")
        content = await _content(request)
        command, app = content.get("command"), content.get("app")
        if not (isinstance(command, str) and command and "body" in content):
            raise ValueError("say what to post: `command`, a text, and `body`")
        body = msgspec.json.encode(content["body"])
        return _json(await samples.post_sample(settings, self._parts.live, command, body, str(app) if app else None))


def _cut_off(request: web.Request) -> None:
    """End the connection of a request at once: what the kernel still holds for it is of no use."""
    if request.transport is not None:
        request.transport.abort()


def _json(value: Any) -> web.Response:
    return web.Response(body=_encode(value), content_type="application/json")


async def _content(request: web.Request) -> dict[str, Any]:
    """The JSON object in a request.

    Raises:
        ValueError: it is none.
    """
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the request did not come whole within {BODY_S:.0f} s") from None
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"the request is no JSON object: {error}") from None


def _chosen(given: Mapping[str, Any]) -> DeadLetterFilter:
    """The letters that are meant.

    Raises:
        ValueError: a value has no such form.
    """

    def text(name: str) -> str | None:
        value = given.get(name)
        return value.strip() or None if isinstance(value, str) else None

    name, since, until = text("letter"), text("since"), text("until")
    return DeadLetterFilter(
        name=parse_name(name) if name else None,
        type=text("type"),
        command=text("command"),
        account=text("account"),
        group=text("group"),
        reason=text("reason"),
        since_ms=parse_time(since) if since else None,
        until_ms=parse_time(until) if until else None,
    )


def _number(query: Mapping[str, str], name: str) -> int:
    text = query.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ValueError(f"{name} must be a number")
    return int(text)
