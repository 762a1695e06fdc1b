"""The load generator: what it sends, and what its times count from."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from bench.load.generator import LoadGenerator
from bench.load.requests import CLIENT_IP, KEY
from tests.support.callbacks import TOKEN, sign

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="the load generator is written in C")

REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Answering:
    """A server with a thread for each connection, which answers each request; none while `go_on` is not set."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # The generator hangs up when it is through, or has had enough.
        with connection, contextlib.suppress(OSError):
            while request := connection.recv(65_536):
                self.requests.append(request)
                self.go_on.wait()
                connection.sendall(REPLY)

    def close(self) -> None:
        """Listen no longer."""
        self._listener.close()


@pytest.fixture
def server() -> Iterator[Answering]:
    server = Answering()
    yield server
    server.go_on.set()
    server.close()


def test_each_request_has_an_address_a_message_key_and_the_signature_of_its_second(server: Answering) -> None:
    began = int(time.time())
    result = LoadGenerator(server.port, "saturate", 4, 1.0).result()
    ended = int(time.time())
    assert result["replies"] >= 10
    assert result["refused"] == result["lost"] == 0
    heads_and_bodies = [one.partition(b"\r\n\r\n")[::2] for one in server.requests]
    queries = [parse_qs(urlsplit(head.split(b" ")[1].decode()).query) for head, _ in heads_and_bodies]
    bodies = [orjson.loads(body) for _, body in heads_and_bodies]
    assert len({query["ClientIP"][0] for query in queries}) == len({body["MsgKey"] for body in bodies}) == len(queries)
    assert CLIENT_IP not in {query["ClientIP"][0] for query in queries}
    assert not any(KEY in body["MsgKey"] for body in bodies)
    for query in queries:
        assert query["Sign"] == [sign(TOKEN, query["RequestTime"][0])]
        assert began <= int(query["RequestTime"][0]) <= ended


def test_a_server_that_stalls_is_charged_for_everyone_who_came_meanwhile(server: Answering) -> None:
    load = LoadGenerator(server.port, "open", 200, 2.0)
    while not server.requests:
        time.sleep(0.001)
    server.go_on.clear()
    time.sleep(0.5)
    server.go_on.set()
    result = load.result()
    assert result["scheduled"] == 400
    # One in twenty came in the first tenth of a second, of half a second without an answer.
    assert result["p99"] > 0.4
    assert result["in_time"] == result["replies"] == 400


def test_who_has_no_answer_after_two_seconds_counts_as_one_who_waited_so_long(server: Answering) -> None:
    server.go_on.clear()
    result = LoadGenerator(server.port, "open", 100, 0.5).result()
    assert result["scheduled"] == 50
    assert result["in_time"] == result["replies"] == 0
    assert result["p50"] >= 2.0


def test_a_refusal_is_no_good_answer(server: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.bench.test_load.REPLY", REPLY.replace(b"200 OK", b"503 No"))
    result = LoadGenerator(server.port, "open", 100, 0.5).result()
    assert result["replies"] == result["refused"] == 50
    assert result["in_time"] == 0
