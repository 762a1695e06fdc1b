"""What a hostile or broken client sends: an answer, no 500, no growth."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator
from contextlib import suppress

import orjson
import pytest

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import RECALLED, PostedCallback, recalled
from tests.support.commands import IngressProcess
from tests.support.topic import Topics, wait_for_events
from tests.support.waiting import wait_until

NO_KAFKA = "127.0.0.1:1"
OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngressProcess]:
    """An ingress whose Kafka is away, for all that changes nothing for the others."""
    with IngressProcess(tmp_path_factory.mktemp("ingress"), NO_KAFKA, Topics.unique()) as shared:
        shared.wait_ready()
        yield shared


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngressProcess]:
    """The same, which waits for no client longer than a second."""
    limits = {"BRIDGE_HEAD_TIMEOUT_S": "1", "BRIDGE_BODY_TIMEOUT_S": "1"}
    with IngressProcess(tmp_path_factory.mktemp("impatient"), NO_KAFKA, Topics.unique(), **limits) as shared:
        shared.wait_ready()
        yield shared


def head(callback: PostedCallback, *fields: str) -> bytes:
    return "\r\n".join([f"POST /{callback.signed()} HTTP/1.1", "Host: x", *fields, "", ""]).encode()


def answer(connection: socket.socket) -> bytes:
    """Everything until the end of the stream or of the first reply's body."""
    received = b""
    while part := connection.recv(65536):
        received += part
        if b"}" in received:
            break
    return received


def status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


def answer_to_beginning(impatient: IngressProcess, beginning: bytes) -> bytes:
    """The answer to a request that does not go on.

    It is sent once more where the test was so late with it that its connection was closed as one that brings nothing.
    """

    def ask() -> bytes:
        with impatient.connection() as connection, suppress(ConnectionError):
            connection.sendall(beginning)
            return answer(connection)
        return b""

    return wait_until(ask, timeout=30, what="an answer")


def test_a_connection_that_brings_no_request_is_closed(impatient: IngressProcess) -> None:
    with impatient.connection() as silent:
        assert silent.recv(100) == b""
    assert status(answer_to_beginning(impatient, b"POST / HTT")) == 408


def test_a_body_that_does_not_arrive_is_answered_408(impatient: IngressProcess) -> None:
    assert status(answer_to_beginning(impatient, head(recalled("u"), "Content-Length: 1000") + b"{")) == 408


def test_a_chunked_body_is_read_and_a_broken_one_is_answered_400(bridge: IngressProcess) -> None:
    body = recalled("u", unread=1).body
    chunks = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:])
    with bridge.connection() as connection:
        connection.sendall(head(recalled("u"), "Transfer-Encoding: chunked") + chunks)
        assert status(answer(connection)) == 200
    with bridge.connection() as connection:
        connection.sendall(head(recalled("u"), "Transfer-Encoding: chunked") + b"zz\r\n")
        assert status(answer(connection)) == 400


def test_a_gzip_body_is_read_and_a_bomb_is_answered_413(bridge: IngressProcess) -> None:
    for body, expected in ((recalled("u", unread=1).body, 200), (b" " * 50_000_000, 413)):
        packed = gzip.compress(body)
        with bridge.connection() as connection:
            connection.sendall(head(recalled("u"), "Content-Encoding: gzip", f"Content-Length: {len(packed)}") + packed)
            assert status(answer(connection)) == expected
    assert bridge.rss_bytes < 200 * 1024 * 1024


def test_pipelined_requests_are_answered_in_order(bridge: IngressProcess) -> None:
    callbacks = [recalled(f"u{number}", unread=1) for number in range(20)]
    with bridge.connection() as connection:
        for callback in callbacks:
            connection.sendall(head(callback, f"Content-Length: {len(callback.body)}") + callback.body)
        received = b""
        while received.count(b"ActionStatus") < len(callbacks):
            received += connection.recv(65536)
    assert received.count(b"HTTP/1.1 200") == len(callbacks)


def test_the_client_may_wait_for_100_continue(bridge: IngressProcess) -> None:
    callback = recalled("u", unread=1)
    with bridge.connection() as connection:
        connection.sendall(head(callback, f"Content-Length: {len(callback.body)}", "Expect: 100-continue"))
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(callback.body)
        assert status(answer(connection)) == 200


@pytest.mark.parametrize(
    "request_line",
    [
        b"GARBAGE\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"POST /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02",
    ],
)
def test_what_is_no_http_is_answered_400_or_closed(request_line: bytes, impatient: IngressProcess) -> None:
    received = b""
    with impatient.connection() as connection, suppress(ConnectionError):
        connection.sendall(request_line)
        received = connection.recv(65536)
    assert not received or status(received) in {400, 403, 405}
    wait_until(lambda: is_accepted(impatient), timeout=30, what="a callback that is accepted")


def is_accepted(impatient: IngressProcess) -> bool:
    """Whether a callback is; it is not where the test was so late with it that it was not waited for."""
    try:
        return bool(impatient.post(recalled("u", unread=1)).json == OK)
    except ConnectionError:
        return False


ODD_BODIES = [
    b'{"MsgBody":' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"UnreadMsgNum":' + b"9" * 5000 + b"}",
    b'{"UnreadMsgNum":1e400}',
    b'{"To_Account":"a","To_Account":"b"}',
    b'{"To_Account":"\xff\xfe"}',
    b'{"To_Account":"\\ud83d"}',
    b'\xef\xbb\xbf{"To_Account":"a"}',
    b'{"To_Account":null,"MsgKey":{},"EventTime":[],"From_Account":true}',
    b'{"To_Account":"' + b"x" * 500_000 + b'"}',
    b'{"To_Account":"a","CloudCustomData":"' + b"x" * 500_000 + b'"}',
]


def test_odd_bodies_are_kept_as_event_or_as_dead_letter(ingress: MakeIngress, broker: Broker) -> None:
    there = ingress(broker)
    replies = [there.post(PostedCallback(RECALLED, body)) for body in ODD_BODIES]
    assert [reply.status for reply in replies] == [200] * len(ODD_BODIES)
    events = sum(reply.json["ActionStatus"] == "OK" for reply in replies)
    assert 0 < events < len(ODD_BODIES)
    wait_for_events(broker.bootstrap, there.topics.events, lambda found: len(found) == events)
    wait_for_events(broker.bootstrap, there.topics.dlq, lambda found: len(found) == len(ODD_BODIES) - events)


def test_repeated_parameters_and_a_long_query_change_nothing(bridge: IngressProcess) -> None:
    callback = recalled("u", unread=1)
    query = callback.signed()
    assert bridge.post_raw(query + "&Sign=forged&SdkAppid=1&CallbackCommand=X", callback.body).json == OK
    assert bridge.post_raw("?Sign=forged&" + query[1:], callback.body).status == 403
    assert bridge.post_raw(query + "&x=" + "y" * 20_000, callback.body).status in {200, 400}
    assert orjson.loads(orjson.dumps(bridge.metrics()))


def test_a_broken_request_is_logged_in_a_line_that_holds_nothing_of_it(ingress: MakeIngress) -> None:
    bridge = ingress("127.0.0.1:1", BRIDGE_LOG_LEVEL="debug")
    for line in (b"POST /?Sign=S3CRET HTTP/9.9", b"POST / HTTP/1.1\r\nHost: x\r\nS3CRET\x01: y", b"S3\xffCRET"):
        for _ in range(20):
            with bridge.connection() as connection:
                connection.sendall(line + b"\r\n\r\n")
                connection.recv(65536)
    bridge.wait_for_log("is no HTTP")
    assert "CRET" not in bridge.output()
    assert "Traceback" not in bridge.output()
    assert len(bridge.output().splitlines()) < 30, "a flood of them floods the log"
