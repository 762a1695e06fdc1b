"""Replies as they go over the wire."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from http import HTTPStatus

import pytest

from bridge.http.response import Renderer, render
from bridge.ingress import replies
from bridge.ingress.replies import PlatformReply


def test_a_reply_is_rendered_with_length_type_date_and_further_headers() -> None:
    reply = replies.refused(HTTPStatus.METHOD_NOT_ALLOWED, "no")
    head, _, body = render(reply, False).decode().partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines)
    assert first == "HTTP/1.1 405 Method Not Allowed"
    assert body.encode() == reply.content
    assert fields["Content-Length"] == str(len(body))
    assert fields["Content-Type"] == "application/json"
    assert fields["Allow"] == "POST"
    assert parsedate_to_datetime(fields["Date"])
    assert "Connection" not in fields


@pytest.mark.parametrize(
    "reply", [replies.ACCEPTED, replies.with_fields({}), replies.refused(HTTPStatus.FORBIDDEN, "no")]
)
def test_a_closing_reply_says_so(reply: PlatformReply) -> None:
    assert b"\r\nConnection: close\r\n" in render(reply, True)
    assert b"\r\nConnection:" not in render(reply, False)


def test_a_constant_reply_is_rendered_once_a_second_and_no_other_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000_000.25
    monkeypatch.setattr("time.time", lambda: now)
    renderer = Renderer()
    first = renderer.render(replies.ACCEPTED, False)
    assert renderer.render(replies.ACCEPTED, True) != first
    now += 0.5
    assert renderer.render(replies.ACCEPTED, False) is first
    now += 0.5
    assert renderer.render(replies.ACCEPTED, False) is not first
    other = replies.with_fields({})
    assert renderer.render(other, False) is not renderer.render(other, False)
