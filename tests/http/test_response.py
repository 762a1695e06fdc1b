"""Replies as they go over the wire."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from http import HTTPStatus

import pytest

from bridge.http.response import Renderer
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

    def rendered(reply: PlatformReply, closing: bool = False) -> bytes:
        return renderer.render(reply, closing, now - 999_000)

    first = rendered(replies.ACCEPTED)
    assert b"Date: Mon, 12 Jan 1970 13:46:40 GMT" in first
    assert rendered(replies.ACCEPTED, True) != first
    now += 0.5
    assert rendered(replies.ACCEPTED) is first
    now += 0.25
    assert rendered(replies.ACCEPTED) is not first
    assert b"Date: Mon, 12 Jan 1970 13:46:41 GMT" in rendered(replies.ACCEPTED)
    other = replies.with_fields({})
    assert rendered(other) is not rendered(other)


def render(reply: PlatformReply, closing: bool) -> bytes:
    """By a new renderer."""
    return Renderer().render(reply, closing, 1.0)
