"""The load of a torture run: what changes badges, in all the forms in which counts and times come or are absent."""

from __future__ import annotations

import time

from tests.support.callbacks import APP_ID, RECALLED, SENT, TOKEN, PostedCallback, recalled, sent, signed_query
from tests.support.load import Load, SentCallback


class Traffic(Load):
    """Recalls and sent messages. The form of a callback follows from its number."""

    _queries: tuple[int, dict[str, str]] = (0, {})

    def _request(self, one: SentCallback) -> bytes:
        callback = _callback(one)
        head = f"POST /{self._signed(callback.command)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        return f"{head}Content-Length: {len(callback.body)}\r\n\r\n".encode() + callback.body

    def _signed(self, command: str) -> str:
        now = int(time.time())
        if self._queries[0] != now:
            queries = {name: signed_query(APP_ID, TOKEN, name, request_time=now) for name in (RECALLED, SENT)}
            self._queries = (now, queries)
        return self._queries[1][command]


def _callback(one: SentCallback) -> PostedCallback:
    now = int(time.time() * 1000)
    match one.sequence % 8:
        case 0:
            return sent(one.account, unread=one.sequence, event_time=now, MsgKey=one.msg_key)
        case 1:
            return recalled(one.account, unread=-1, event_time=now, MsgKey=one.msg_key)
        case 2:
            return recalled(one.account, event_time=now, MsgKey=one.msg_key)
        case 3:
            return sent(one.account, unread=one.sequence, event_time=now, MsgKey=one.msg_key, SendMsgResult=120_001)
        case 4:
            return recalled(one.account, unread=one.sequence, MsgKey=one.msg_key)
        case _:
            return recalled(one.account, unread=one.sequence, event_time=now, MsgKey=one.msg_key)
