"""`bridge drift`: whom it asks, what it shows of the answer, and what it says where there is none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from tests.support.callbacks import SENT
from tests.support.commands import run_bridge
from tests.support.threaded_server import ThreadedServer

Run = Callable[..., tuple[int, str, str]]

ONE = {
    "kind": "unknown_field",
    "command": SENT,
    "field": "New",
    "count": 2,
    "first": "2026-01-01T00:00:01.000Z",
    "last": "2026-01-01T00:00:02.000Z",
    "shape": "{Text: <text of 3>}",
}
OTHER = {**ONE, "kind": "unknown_command", "command": "<hidden name>", "field": "", "count": 1, "shape": "{}"}
REPORT = {"differences": [ONE, OTHER], "since": ["2026-01-01T00:00:00.000Z"], "version": "9.9", "silent": 0}


class AdminPort(ThreadedServer):
    """Stands for the admin port of an ingress.

    Args:
        body: of its page of drift; None: it has none.
        status: of that page.
    """

    def __init__(self, body: bytes | None, status: int = 200) -> None:
        super().__init__()
        self._body = body
        self._status = status

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def make_runner(self) -> web.BaseRunner:
        """What answers."""

        async def page(request: web.BaseRequest) -> web.Response:
            if self._body is None or request.path != "/drift":
                return web.Response(status=404)
            return web.Response(body=self._body, status=self._status)

        return web.ServerRunner(web.Server(page))


@pytest.fixture
def drift(tmp_path: Path) -> Run:
    """Runs it: its exit status, and what it prints as result and as remarks."""

    def run(*arguments: str, **settings: str) -> tuple[int, str, str]:
        ended = run_bridge("drift", *arguments, cwd=tmp_path, **settings)
        assert "Traceback" not in ended.stderr
        return ended.returncode, ended.stdout, ended.stderr

    return run


def test_it_lists_what_differed_and_says_since_when(drift: Run) -> None:
    with AdminPort(orjson.dumps(REPORT)) as port:
        status, out, err = drift(BRIDGE_ADMIN_PORT=str(port.port), BRIDGE_ADMIN_HOST="0.0.0.0")
    assert (status, out.splitlines()) == (
        0,
        [
            f"{SENT}\tNew\tunknown_field\t2\t2026-01-01 00:00:01\t2026-01-01 00:00:02\t{{Text: <text of 3>}}",
            "<hidden name>\t\tunknown_command\t1\t2026-01-01 00:00:01\t2026-01-01 00:00:02\t{}",
        ],
    )
    assert "counted since 2026-01-01 00:00:00 UTC, when the ingress started" in err
    assert "<hidden name>: it may be what a user wrote" in err
    assert "drift --report" in err


def test_several_ingresses_are_summed_and_one_command_is_picked(drift: Run) -> None:
    later = {**REPORT, "since": ["2026-01-02T00:00:00.000Z"], "silent": 1}
    with AdminPort(orjson.dumps(REPORT)) as one, AdminPort(orjson.dumps(later)) as other:
        status, out, err = drift("c2c.*", "--json", "--url", one.url, "--url", f"{other.url}/", "--url", one.url)
        assert (status, orjson.loads(out)) == (
            0,
            {
                "differences": [{**ONE, "count": 4}],
                "since": ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z"],
                "version": "9.9",
                "silent": 1,
            },
        )
        assert "1 process did not answer" in err
        status, out, _ = drift("Sns.*", "--url", one.url)
    assert (status, out) == (
        0,
        "nothing of Sns.* differed from the documentation since 2026-01-01 00:00:00 UTC, when the ingress started\n",
    )


def test_the_report_is_markdown_with_the_version(drift: Run) -> None:
    with AdminPort(orjson.dumps(REPORT)) as port:
        status, out, err = drift("--report", "--url", port.url)
    lines = out.splitlines()
    assert status == 0
    assert lines[0] == "### Callbacks that differ from the documentation, im-bridge 9.9"
    assert (
        f"| `{SENT}` | `New` | `unknown_field` | `2` | `2026-01-01 00:00:01` | `2026-01-01 00:00:02`"
        " | `{Text: <text of 3>}` |"
    ) in lines
    assert len({line.count(" |") for line in lines if line.startswith("| ")}) == 1
    assert "paste this into an issue" in err


@pytest.mark.parametrize("option", [(), ("--json",), ("--report",)], ids=str)
def test_nothing_that_a_terminal_would_obey_is_printed(drift: Run, option: tuple[str, ...]) -> None:
    hostile = {
        **ONE,
        "command": "\x1b[31m\u202e",
        "field": "a`|b\r\n# c",
        "shape": "\x1b]0;x\x07",
        "first": "\x1b" * 30,
    }
    body = orjson.dumps({**REPORT, "version": "\x1b[2J", "differences": [hostile]})
    with AdminPort(body) as port:
        status, out, err = drift(*option, "--url", port.url)
    assert status == 0
    assert (out + err).replace("\n", "").replace("\t", "").isprintable()
    if option == ("--report",):
        assert "# c" not in out.splitlines()
        assert out.count("`") % 2 == 0


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (None, 200, "has no page /drift: it is of a worker, or of an older ingress"),
        (b"{}", 500, "answers with status 500"),
        (b"{}", 401, "a proxy before it asks who you are. Give name and password"),
        (b"ok", 200, "not as the admin port of an ingress"),
        (b"\xff", 200, "not as the admin port of an ingress"),
        (b'{"differences":[{}],"since":[]}', 200, "not as the admin port of an ingress"),
        (b"[" * 17 * 1024 * 1024, 200, "sends more than an ingress does"),
        (b'{"differences":[],"since":[]}', 200, "does not serve yet: ask again"),
        (b'{"differences":[],"since":[],"silent":2}', 200, "none of its processes answers: ask again"),
    ],
    ids=["absent", "broken", "proxy", "text", "bytes", "other form", "endless", "starting", "silent"],
)
def test_an_answer_that_tells_nothing_is_explained(drift: Run, body: bytes | None, status: int, said: str) -> None:
    with AdminPort(body, status) as port:
        ended, out, err = drift("--url", port.url)
    assert (ended, out) == (1, "")
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "settings", "status", "said"),
    [
        ((), {"BRIDGE_ADMIN_PORT": "1"}, 1, "nothing answers at http://127.0.0.1:1 (nothing listens there)"),
        (("--url", "http://[::1]:1"), {}, 1, "docker compose exec ingress bridge drift"),
        ((), {"BRIDGE_ADMIN_PORT": "0"}, 2, "BRIDGE_ADMIN_PORT is 0"),
        ((), {"BRIDGE_ADMIN_HOST": "a b/c"}, 2, "BRIDGE_ADMIN_HOST is 'a b/c'"),
        (("--url", "ingress:9090"), {}, 2, "write it as http://127.0.0.1:9090"),
        (("--url", "http://a..b:1"), {}, 2, "http://a..b:1 names no host that there can be"),
        (("--url", "http://[::1"), {}, 2, "write it as http://127.0.0.1:9090"),
        (("--json", "--report"), {}, 2, "give one of them"),
    ],
    ids=["closed port", "other machine", "no port", "no host", "no scheme", "dots", "brackets", "both forms"],
)
def test_where_nobody_can_be_asked_it_says_what_to_do(
    drift: Run, arguments: tuple[str, ...], settings: dict[str, str], status: int, said: str
) -> None:
    ended, out, err = drift(*arguments, **settings)
    assert (ended, out) == (status, "")
    assert said in " ".join(err.split())


def test_what_another_service_sends_is_not_repeated(drift: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1000)
                client.sendall(b"-ERR \x1b[31msecret\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        ended, _, err = drift("--url", f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
    assert ended == 1
    assert "is this the port of another service?" in err
    assert "secret" not in err
    assert err.count("\n") == 1
