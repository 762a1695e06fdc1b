"""Replies as bytes of HTTP/1.1, head and all.

To put a reply together takes a tenth of all the work of a request. So a constant one, as nearly every callback gets, is
rendered once for the second in which its `Date` is right.
"""

from __future__ import annotations

import time
from email.utils import formatdate

from bridge.ingress import replies
from bridge.ingress.replies import PlatformReply


class Renderer:
    """Renders replies. One serves a whole process."""

    def __init__(self) -> None:
        self._until = 0.0
        """When this second ends, by the clock of the event loop."""
        self._date = ""
        """The header `Date` of this second."""
        self._rendered: dict[PlatformReply, bytes] = {}
        """Constant replies as they are in this second, for a connection that stays open."""

    def render(self, reply: PlatformReply, closing: bool, now: float) -> bytes:
        """Head and body.

        Args:
            reply: what is told.
            closing: whether the connection is closed after it.
            now: the time by the clock of the event loop, which whoever replies needs anyway.
        """
        if now >= self._until:
            self._begin_second(now)
        rendered = None if closing else self._rendered.get(reply)
        if rendered is None:
            rendered = _render(reply, date=self._date, closing=closing)
            if not closing and reply in replies.CONSTANT:
                self._rendered[reply] = rendered
        return rendered

    def _begin_second(self, now: float) -> None:
        second, passed_s = divmod(time.time(), 1)
        self._until = now + 1 - passed_s
        self._date = formatdate(second, usegmt=True)
        self._rendered.clear()


def _render(reply: PlatformReply, *, date: str, closing: bool) -> bytes:
    further = "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
    closing_field = "Connection: close\r\n" if closing else ""
    return (
        f"HTTP/1.1 {reply.status:d} {reply.status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(reply.content)}\r\nDate: {date}\r\n"
        f"{further}{closing_field}\r\n"
    ).encode() + reply.content


render = Renderer().render
