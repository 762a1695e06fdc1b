"""Whatever is sent, the running ingress answers as its OpenAPI document says, in time, and tells no secret.

The examples are the same in each run. Kafka is away, so that each one takes the longer way, over the disk.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import jsonschema
import orjson
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from bridge.contract.examples import body_of
from bridge.contract.openapi import openapi
from bridge.events import registry
from tests.support.callbacks import APP_ID, recalled, sign, signed_query
from tests.support.commands import IngressProcess
from tests.support.http import HttpReply, request
from tests.support.topic import Topics

TOKEN = "S3CRET-token"
MARK = "S3CRET"
IN_TIME_S = 30
"""Far more than the reply deadline: tests of all kinds share the machine."""
COMMANDS = sorted(entry.callback.command for entry in registry.ENTRIES)
# Shrinking and remembering failures would make the time that this takes unbounded.
bounded = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[IngressProcess]:
    """One ingress for all examples; in the end it must be as well as in the beginning."""
    folder = tmp_path_factory.mktemp("ingress")
    ingress = IngressProcess(
        folder,
        "127.0.0.1:9",
        Topics.unique(),
        BRIDGE_APPS=orjson.dumps({APP_ID: [TOKEN]}).decode(),
        BRIDGE_DECISION_URLS=orjson.dumps({"*": f"http://me:{MARK}@127.0.0.1:9/{MARK}"}).decode(),
        BRIDGE_HEAD_TIMEOUT_S="1",
        BRIDGE_BODY_TIMEOUT_S="1",
        BRIDGE_LOG_LEVEL="debug",
    )
    with ingress.start_ready():
        yield ingress
        assert ingress.post(recalled("u", unread=1), token=TOKEN).status == HTTPStatus.OK
        ingress.wait_for(lambda: ingress.metric("bridge_in_flight") == 0, what="no request in flight")
        output = ingress.output()
        assert MARK not in output, "a token, a signature's input or a message was logged"
        assert sign(TOKEN, int(time.time()))[:16] not in output
        assert "Traceback" not in output, ingress.tail()


@cache
def replies() -> dict[int, jsonschema.Draft202012Validator]:
    """The documented replies by status."""
    document = openapi()
    responses = document["paths"]["/"]["post"]["responses"]
    reply = jsonschema.Draft202012Validator(document["components"]["schemas"]["Reply"])
    return {int(status): reply for status in responses}


def check(reply: HttpReply) -> None:
    """It is what the document says."""
    assert reply.status in replies(), reply
    replies()[reply.status].validate(orjson.loads(reply.body))
    assert reply.headers["content-type"] == "application/json"


def cases(mode: GenerationMode) -> st.SearchStrategy[schemathesis.Case[Any]]:
    """Requests made of the OpenAPI document: such as it describes, or such as it does not."""
    operation = schemathesis.openapi.from_dict(openapi())["/"]["POST"]
    return operation.as_strategy(generation_mode=mode)


def body_bytes(case: schemathesis.Case[Any]) -> bytes:
    return case.body if isinstance(case.body, bytes) else json.dumps(case.body, default=str).encode()


@settings(bounded, max_examples=40)
@given(
    case=st.deferred(lambda: cases(GenerationMode.POSITIVE)) | st.deferred(lambda: cases(GenerationMode.NEGATIVE)),
    command=st.sampled_from(COMMANDS) | st.text(max_size=30),
    is_signed=st.booleans(),
)
def test_any_request_made_of_the_document_is_answered_as_documented(
    case: schemathesis.Case[Any], command: str, is_signed: bool, bridge: IngressProcess
) -> None:
    given_query = {str(name): str(value) for name, value in (case.query or {}).items()}
    now = int(time.time())
    proof = {"SdkAppid": APP_ID, "RequestTime": now, "Sign": sign(TOKEN, now), "CallbackCommand": command}
    query = {**given_query, **(proof if is_signed else {})}
    text = "&".join(f"{quote(name)}={quote(str(value), errors='replace')}" for name, value in query.items())
    reply = bridge.post_raw(f"?{text}", body_bytes(case), timeout=IN_TIME_S)
    check(reply)
    assert is_signed or reply.status == HTTPStatus.FORBIDDEN


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20).map(lambda text: MARK + text)
    | st.sampled_from(["1670574414", "-1", "", "@TGS#1", 2**63, 2**64, 10**30]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged_bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A command and its documented body, with some fields replaced, added or gone, and perhaps some bytes broken."""
    entry = draw(st.sampled_from(registry.ENTRIES))
    fields = orjson.loads(body_of(entry))
    target: Any = fields
    while draw(st.booleans()):  # Somewhere deeper in it.
        inner = list(target.values()) if isinstance(target, dict) else target
        nested = [value for value in inner if isinstance(value, dict | list) and value]
        if not nested:
            break
        target = draw(st.sampled_from(nested))
    for _ in range(draw(st.integers(0, 3))):
        if isinstance(target, list):
            target.append(draw(json_values))
        else:
            target[draw(st.sampled_from([*sorted(target), "EventTime", "CallbackCommand", "New"]))] = draw(json_values)
    body = json.dumps(fields, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    if draw(st.booleans()):
        position = draw(st.integers(0, len(body)))
        body = body[:position] + draw(st.binary(max_size=4)) + body[position + draw(st.integers(0, 3)) :]
    return entry.callback.command, body


@settings(bounded, max_examples=150)
@given(damaged=damaged_bodies(), sent_as=st.none() | st.sampled_from(COMMANDS))
def test_any_damaged_body_of_an_authentic_callback_is_kept(
    damaged: tuple[str, bytes], sent_as: str | None, bridge: IngressProcess
) -> None:
    command, body = damaged
    reply = bridge.post_raw(signed_query(APP_ID, TOKEN, sent_as or command), body, timeout=IN_TIME_S)
    check(reply)
    assert reply.status == HTTPStatus.OK, reply


printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@settings(bounded, max_examples=60)
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "POST"]),
    path=printable,
    headers=st.dictionaries(
        st.sampled_from(["Content-Type", "Accept", "X-Forwarded-For", "traceparent", "Cookie", "Host", "Expect"]),
        printable,
        max_size=4,
    ),
)
def test_any_method_path_and_header_is_answered_as_documented(
    method: str, path: str, headers: dict[str, str], bridge: IngressProcess
) -> None:
    url = f"{bridge.url}{quote(path)}{signed_query(APP_ID, TOKEN, COMMANDS[0])}"
    reply = request(method, url, b"{}", headers=headers, timeout=IN_TIME_S)
    if method == "HEAD":
        assert reply.status == HTTPStatus.METHOD_NOT_ALLOWED
    else:
        check(reply)


@settings(bounded, max_examples=40)
@given(
    head=st.sampled_from([b"", b"POST / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"]),
    rest=st.binary(max_size=60),
    end=st.sampled_from([b"", b"\r\n\r\n"]),
)
def test_any_bytes_are_answered_or_the_connection_is_closed(
    head: bytes, rest: bytes, end: bytes, bridge: IngressProcess
) -> None:
    with socket.create_connection(("127.0.0.1", bridge.port), IN_TIME_S) as connection:
        connection.sendall(head + rest + end)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionResetError:
            pass
    if answer:
        status = int(answer.split(b" ", 2)[1])
        assert status < 500 or status == HTTPStatus.SERVICE_UNAVAILABLE, answer
