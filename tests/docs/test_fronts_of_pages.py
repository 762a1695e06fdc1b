"""The configurations of proxies that docs/security.md offers do what it says, where these proxies are installed."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
from contextlib import closing
from pathlib import Path

import pytest
from aiohttp import web

from tests.docs.markdown import page
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.threaded_server import ThreadedServer
from tests.support.waiting import wait_until

SECRET_PATH = "/cb-4e0c9d2f7b8a61"
QUERY = "SdkAppid=1400000000&CallbackCommand=C2C.CallbackAfterSendMsg&Sign=abcdef&RequestTime=1670574414"
OTHER_PATHS = ("/", f"{SECRET_PATH}/", f"{SECRET_PATH}x", f"/x{SECRET_PATH}", SECRET_PATH.upper())


class Recorder(ThreadedServer):
    """Stands for the ingress: has what reached it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str | None, bytes]] = []

    def make_runner(self) -> web.BaseRunner:
        async def take(request: web.BaseRequest) -> web.Response:
            self.seen.append((str(request.rel_url), request.headers.get("X-Forwarded-For"), await request.read()))
            return web.json_response({"ErrorCode": 0})

        return web.ServerRunner(web.Server(take))


def program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") or ""


def of_page(file: str, port: int, ingress_port: int, folder: Path) -> str:
    """The configuration with ports and files of the test, and without TLS."""
    (code,) = (block.code for block in page("docs/security.md").blocks if block.file == file)
    edits = {
        "127.0.0.1:8080": f"127.0.0.1:{ingress_port}",
        "listen 443 ssl": f"listen 127.0.0.1:{port}",
        "bind :443 ssl crt /etc/ssl/private/your-host.pem": f"bind 127.0.0.1:{port}",
        "/var/log/nginx": str(folder),
    }
    for example, own in edits.items():
        code = code.replace(example, own)
    return re.sub(r"^ +ssl_certificate.*\n", "", code, flags=re.MULTILINE)


def post(port: int, path: str) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", f"{path}?{QUERY}", body=b'{"a":1}')
        with connection.getresponse() as reply:
            return reply.status


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_a_front_passes_on_the_secret_path_alone_and_logs_no_url(name: str, tmp_path: Path) -> None:
    if not program(name):
        pytest.skip(f"no {name} is installed")
    port, config = free_port(), tmp_path / f"{name}.conf"
    with Recorder() as ingress:
        code = of_page(f"{name}.{'conf' if name == 'nginx' else 'cfg'}", port, ingress.port, tmp_path)
        if name == "nginx":
            kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
            code = f"daemon off;\npid {tmp_path}/pid;\nevents {{}}\nhttp {{\n{folders}{code}}}\n"
        config.write_text(code)
        start = ["-e", str(tmp_path / "start.log"), "-c"] if name == "nginx" else ["-db", "-f"]
        with Process([program(name), *start, config], log=tmp_path / "front.log") as front:
            wait_until(lambda: listens(port), timeout=10, what=front.tail)
            assert post(port, SECRET_PATH) == 200
            assert [post(port, path) for path in OTHER_PATHS] == [404] * len(OTHER_PATHS)
            assert ingress.seen == [(f"{SECRET_PATH}?{QUERY}", "127.0.0.1", b'{"a":1}')]
        logged = "".join(path.read_text() for path in tmp_path.glob("*.log"))
    assert logged.count("POST") == 1 + len(OTHER_PATHS)
    assert "Sign" not in logged
    assert SECRET_PATH not in logged
