"""Who may look, and who may change something: by the answers of the application itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request
from yarl import URL

from bridge.console.access import Access, is_loopback
from bridge.console.application import make_application
from bridge.console.connections import Connections
from bridge.console.desk import DeskClient
from bridge.console.health import Health
from bridge.console.hiding import Hiding
from bridge.console.jobs import Jobs
from bridge.console.live import Live
from bridge.console.page_files import PageFiles
from bridge.console.parts import ConsoleParts
from bridge.console.viewer import sse
from bridge.settings import DeveloperSettings
from tests.support.http import until

TOKEN = "the-token-of-the-console"
OURS = {"X-Im-Bridge-Console": "1", "Content-Type": "application/json"}
CHANGES = ("/api/letters/replay", "/api/letters/drop", "/api/send")
LOOKS = (
    "/api/health",
    "/api/history",
    "/api/letters",
    "/api/badge?account=ann",
    "/api/live",
    "/api/commands",
    "/api/x",
)


def parts_of(settings: DeveloperSettings) -> ConsoleParts:
    """The parts, none of which runs: nothing is asked that is not let through."""
    live = Live(settings.kafka_client, ["im.events"], Hiding(settings.hidden_fields), badges_topic="im.badges")
    desk = DeskClient()
    return ConsoleParts(
        settings, live, Health(settings, live, desk), desk, Jobs(settings, desk, live.hiding, lambda: None)
    )


class Site:
    """The console as a browser finds it; by default at its own address, with no cookie."""

    def __init__(self, server: TestServer, session: aiohttp.ClientSession, live: Live) -> None:
        self.live = live
        self._server = server
        self._session = session
        self.port = server.port

    async def ask(self, method: str, path: str, **arguments: Any) -> aiohttp.ClientResponse:
        """The answer, read."""
        url = f"http://127.0.0.1:{self._server.port}{path}"
        async with self._session.request(method, url, **arguments) as response:
            if response.content_type != "text/event-stream":
                await response.read()
            return response

    def following(self, headers: dict[str, str]) -> Any:
        """What comes, as it comes."""
        return self._session.get(f"http://127.0.0.1:{self._server.port}/api/live", headers=headers)

    async def sign_in(self, token: str = TOKEN, **headers: str) -> aiohttp.ClientResponse:
        """Sign in; the session is kept."""
        return await self.ask("POST", "/api/session", json={"token": token}, headers=OURS | headers)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A console with a token, which may post samples to nobody."""
    settings = DeveloperSettings.model_validate(
        {"console_token": TOKEN, "console_hosts": ["console.example.com"], "kafka_bootstrap_servers": "127.0.0.1:1"}
    )
    async with served(settings) as one:
        yield one


@pytest.fixture
async def read_only() -> AsyncIterator[Site]:
    """A console without a token."""
    async with served(DeveloperSettings.model_validate({"kafka_bootstrap_servers": "127.0.0.1:1"})) as one:
        yield one


class served:  # noqa: N801 - used as `async with`
    """A console for some settings, while the block lasts."""

    def __init__(self, settings: DeveloperSettings) -> None:
        parts = parts_of(settings)
        self._live = parts.live
        self._server = TestServer(make_application(parts, Connections()))
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def __aenter__(self) -> Site:
        await self._server.start_server()
        return Site(self._server, self._session, self._live)

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        await self._server.close()


async def test_this_machine_may_look_and_not_change_without_a_token(read_only: Site) -> None:
    assert (await read_only.ask("GET", "/api/health")).status == HTTPStatus.OK
    for path in CHANGES:
        refused = await read_only.ask("POST", path, json={}, headers=OURS)
        assert refused.status == HTTPStatus.FORBIDDEN
        assert "BRIDGE_CONSOLE_TOKEN" in (await refused.json())["error"]
    assert (await read_only.sign_in("")).status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("path", LOOKS)
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
        {"Via": "1.1 proxy"},
        {"Host": "console.example.com"},
    ],
    ids=str,
)
async def test_whoever_comes_past_a_proxy_or_by_another_name_may_not_even_look(
    site: Site, path: str, headers: dict[str, str]
) -> None:
    refused = await site.ask("GET", path, headers=headers)
    assert refused.status == HTTPStatus.UNAUTHORIZED
    assert "BRIDGE_CONSOLE_TOKEN" in (await refused.json())["error"]


async def test_who_speaks_http_1_0_comes_past_a_proxy(site: Site) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    writer.write(f"GET /api/health HTTP/1.0\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode())
    assert b" 401 " in await reader.readline()
    writer.close()


async def test_whoever_has_signed_in_may_change_things_from_anywhere_until_he_signs_out(site: Site) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    assert (await site.sign_in(**forwarded)).status == HTTPStatus.OK
    assert (await site.ask("GET", "/api/health", headers=forwarded)).status == HTTPStatus.OK
    allowed = await site.ask("POST", "/api/letters/drop", json={}, headers=OURS | forwarded)
    assert (await allowed.json())["error"].startswith("say which")
    assert (await site.ask("DELETE", "/api/session", headers=OURS)).status == HTTPStatus.OK
    assert (await site.ask("GET", "/api/health", headers=forwarded)).status == HTTPStatus.UNAUTHORIZED


async def test_the_session_that_was_signed_out_is_over_for_whoever_kept_its_cookie(site: Site) -> None:
    cookie = (await site.sign_in()).cookies[f"im_bridge_console_{site.port}"]
    await site.ask("DELETE", "/api/session", headers=OURS)
    kept = {"X-Forwarded-For": "203.0.113.7", "Cookie": f"{cookie.key}={cookie.value}"}
    assert (await site.ask("GET", "/api/health", headers=kept)).status == HTTPStatus.UNAUTHORIZED


async def test_signing_in_anew_ends_the_session_before_and_takes_no_cookie_that_was_given(site: Site) -> None:
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    name = f"im_bridge_console_{site.port}"
    first = (await site.sign_in()).cookies[name].value
    second = (await site.sign_in()).cookies[name].value
    await site.ask("DELETE", "/api/session", headers=OURS)  # The client forgets its cookie, and sends what it is told.
    planted = (await site.sign_in(Cookie=f"{name}=planted")).cookies[name].value
    await site.ask("DELETE", "/api/session", headers=OURS)
    assert len({first, second, planted, "planted"}) == 4
    for gone in (first, "planted"):
        asked = await site.ask("GET", "/api/health", headers=forwarded | {"Cookie": f"{name}={gone}"})
        assert asked.status == HTTPStatus.UNAUTHORIZED


async def test_guesses_are_few_at_a_time_and_slow_and_keep_nobody_else_out(site: Site) -> None:
    guesses = await asyncio.gather(*(site.sign_in("not the token at all") for _ in range(12)))
    assert sorted(one.status for one in guesses) == [HTTPStatus.FORBIDDEN] * 4 + [HTTPStatus.TOO_MANY_REQUESTS] * 8
    access = Access(TOKEN, frozenset(), [])
    guessing = [asyncio.create_task(access.sign_in(request_from("203.0.113.7"), "wrong")) for _ in range(4)]
    await asyncio.sleep(0)
    assert await access.sign_in(request_from("203.0.113.8"), TOKEN)
    assert await asyncio.gather(*guessing) == [None] * 4


def request_from(address: str) -> web.Request:
    """A request to sign in, from an address."""
    transport = Mock()
    transport.get_extra_info.return_value = (address, 1)
    return make_mocked_request("POST", "/api/session", headers={"Host": "127.0.0.1"}, transport=transport)


async def test_the_cookie_is_for_this_site_alone_and_for_no_script(site: Site) -> None:
    cookie = (await site.sign_in()).cookies[f"im_bridge_console_{site.port}"]
    assert (cookie["samesite"], cookie["httponly"], cookie["path"], cookie["secure"]) == ("Strict", True, "/", "")
    assert TOKEN not in cookie.value
    secure = (await site.sign_in(**{"X-Forwarded-Proto": "https"})).cookies
    assert next(iter(secure.values()))["secure"] is True


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN} ", TOKEN.upper(), "\ud800"], ids=ascii)
async def test_a_wrong_token_opens_nothing(site: Site, token: str) -> None:
    refused = await site.ask("POST", "/api/session", data=json.dumps({"token": token}), headers=OURS)
    assert refused.status in {HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST}
    assert not refused.cookies
    assert (await (await site.ask("GET", "/api/access")).json())["right"] == "look"


@pytest.mark.parametrize("path", ["/", "/api/access", "/api/health", "/assets/app.js", "/healthz", "/nothing"])
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:{port}", "", "[::1", "a@b", "a@127.0.0.1", "x/"]
)
async def test_a_page_elsewhere_whose_name_leads_here_is_refused(site: Site, path: str, host: str) -> None:
    refused = await site.ask("GET", path, headers={"Host": host.format(port=site.port)})
    assert refused.status in {HTTPStatus.MISDIRECTED_REQUEST, HTTPStatus.BAD_REQUEST}


@pytest.mark.parametrize("path", [*CHANGES, "/api/session"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"X-Im-Bridge-Console": "1", "Content-Type": "text/plain"},
        {"X-Im-Bridge-Console": "1", "Content-Type": "application/x-www-form-urlencoded"},
        OURS | {"Origin": "http://evil.example"},
        OURS | {"Origin": "null"},
        OURS | {"Origin": "http://127.0.0.1:1"},
        OURS | {"Origin": "http://["},
        OURS | {"Origin": ""},
        OURS | {"Sec-Fetch-Site": "cross-site"},
        OURS | {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_a_page_elsewhere_can_change_nothing_in_the_name_of_who_is_signed_in(
    site: Site, path: str, headers: dict[str, str]
) -> None:
    await site.sign_in()
    refused = await site.ask("POST", path, data=b'{"every":true,"dry_run":false,"token":"x"}', headers=headers)
    assert refused.status == HTTPStatus.FORBIDDEN
    assert (await refused.json())["error"].startswith("only the page itself")


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/api/health", "/api/nothing", "/assets/nothing.js"])
async def test_every_answer_carries_the_policy_that_lets_no_foreign_script_run(site: Site, path: str) -> None:
    answered = await site.ask("GET", path)
    policy = answered.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'"} <= set(
        policy.split("; ")
    )
    assert answered.headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in answered.headers


@pytest.mark.parametrize(
    "path", ["/assets/../application.py", "/assets/%2e%2e/access.py", "/assets//etc/passwd", "/assets/"]
)
async def test_nothing_but_the_files_of_the_page_can_be_had(site: Site, path: str) -> None:
    url = URL(f"http://127.0.0.1:{site.port}{path}", encoded=True)
    async with aiohttp.ClientSession() as session, session.get(url) as found:
        assert found.status == HTTPStatus.NOT_FOUND


async def test_the_page_names_no_other_origin_and_has_no_script_or_style_of_its_own() -> None:
    files = PageFiles()._files
    index = files["index.html"].decode()
    assert "<style" not in index
    assert "style=" not in index
    assert "<script>" not in index
    for name, content in files.items():
        if not name.startswith("vendor/") and name != "icon.svg":
            text = content.decode()
            assert "innerHTML" not in text
            assert "dangerouslySetInnerHTML" not in text
            assert "http://" not in text
            assert "https://" not in text


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.7", False),
        ("console.example.com", False),
        ("", False),
    ],
)
def test_what_is_of_this_machine_alone(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize("asked_by", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", LOOKS)
async def test_a_page_elsewhere_cannot_make_us_work_nor_follow(read_only: Site, path: str, asked_by: str) -> None:
    refused = await read_only.ask("GET", path, headers={"Sec-Fetch-Site": asked_by})
    assert refused.status == HTTPStatus.FORBIDDEN
    assert "Access-Control-Allow-Origin" not in refused.headers


async def test_who_follows_is_cut_off_when_the_session_ends(site: Site) -> None:
    elsewhere = {"X-Forwarded-For": "203.0.113.7"}
    await site.sign_in(**elsewhere)
    async with site.following(elsewhere) as response:
        assert response.status == HTTPStatus.OK
        assert (await response.content.readline()).startswith(b"retry")
        (viewer,) = site.live.viewers  # Whose session has ended may leave at any moment.
        await site.ask("DELETE", "/api/session", headers=OURS | elsewhere)
        viewer.push(sse("tick", b'"a secret"'))
        with contextlib.suppress(aiohttp.ClientError):
            assert b"a secret" not in await response.read()
    await until(lambda: not site.live.viewers)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 100_000, HTTPStatus.BAD_REQUEST),
        (b'{"x":' * 5000 + b"1" + b"}" * 5000, HTTPStatus.BAD_REQUEST),
        (b'"' + b"x" * 1_000_000 + b'"', HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (b"\xff\x00", HTTPStatus.BAD_REQUEST),
        (b"", HTTPStatus.BAD_REQUEST),
    ],
    ids=["lists", "objects", "huge", "no text", "nothing"],
)
async def test_a_body_that_is_no_request_is_refused_with_a_reason(site: Site, body: bytes, status: int) -> None:
    await site.sign_in()
    for path in ("/api/session", "/api/letters/replay", "/api/letters/drop"):
        refused = await site.ask("POST", path, data=body, headers=OURS)
        assert refused.status == status
        assert (await refused.json())["error"]


@pytest.mark.parametrize(
    "content", [{}, {"command": "State.StateChange"}, {"command": 1, "body": {}}, {"command": "", "body": {}}], ids=str
)
async def test_nothing_is_posted_of_which_nobody_said_what_it_is(content: Any) -> None:
    given = {"console_token": TOKEN, "console_send_url": "http://127.0.0.1:1/"}
    async with served(DeveloperSettings.model_validate(given)) as site:
        await site.sign_in()
        refused = await site.ask("POST", "/api/send", json=content, headers=OURS)
        assert refused.status == HTTPStatus.BAD_REQUEST
        assert (await refused.json())["error"].startswith("say what to post")


async def test_where_accounts_are_hidden_nobody_finds_out_whom_events_are_about_by_asking_for_badges() -> None:
    given = {"console_hide": "To_Account", "kafka_bootstrap_servers": "127.0.0.1:1"}
    async with served(DeveloperSettings.model_validate(given)) as site:
        refused = await site.ask("GET", "/api/badge?account=ann")
        assert refused.status == HTTPStatus.BAD_REQUEST
        assert "BRIDGE_CONSOLE_HIDE" in (await refused.json())["error"]


@pytest.mark.parametrize("path", ["/api/letters/replay", "/api/letters/drop"])
@pytest.mark.parametrize(
    "chosen", [{"account": "ann"}, {"type": "*ann*"}, {"type": "*ann*", "group": "ingress"}], ids=str
)
async def test_where_something_is_hidden_no_number_of_letters_tells_what_is_in_them(path: str, chosen: Any) -> None:
    given = {"console_token": TOKEN, "console_hide": "MsgBody", "kafka_bootstrap_servers": "127.0.0.1:1"}
    async with served(DeveloperSettings.model_validate(given)) as site:
        await site.sign_in()
        refused = await site.ask("POST", path, json=chosen | {"worker": "ingress"}, headers=OURS)
        assert refused.status == HTTPStatus.BAD_REQUEST
        assert "would tell what is in them" in (await refused.json())["error"]
