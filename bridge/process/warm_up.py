"""Takes callbacks most of their way before the first one comes, which would wait for what happens only once."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlencode

from bridge.events import registry
from bridge.http.server import HttpServer
from bridge.ingress import replies
from bridge.ingress.ingress import Ingress
from bridge.ingress.verify import sign
from bridge.journal.groups import Resolve
from bridge.journal.record import Record
from bridge.normalize import lenient
from bridge.normalize.drift import Drift
from bridge.settings import BridgeSettings

ROUNDS = 16
"""Python reads a function anew for its own use once it has run some eight times."""
MANY = 1_000_000
MAX_SKEW_S = 3600
COMMAND = "C2C.CallbackAfterMsgWithDraw"
BODY = b"""{"CallbackCommand":"C2C.CallbackAfterMsgWithDraw","From_Account":"warm","To_Account":"up","MsgKey":"1_2_3",
"UnreadMsgNum":7,"EventTime":1557481126123}"""
DIFFERENT = b'{"CallbackCommand":"%b","Undocumented":"x"}'
"""Read field by field, since it is not in the documented form."""
UNREADABLE = b"{"
"""It becomes a dead letter."""


class NothingKept:
    """A journal that forgets what it is given, and never tells that it is durable."""

    fraction_used = 0.0

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, record: Record, _resolve: Resolve, /) -> None:
        """Take a record."""
        self.records.append(record)


class NothingNoted(Drift):
    """Does not mind what differs from the documentation."""

    def note(self, _kind: str, _command: str, _field: str = "", _value: Any = None) -> None:
        """Forget it."""


class NobodyThere(asyncio.Transport):
    """A connection that nobody has opened: what is sent on it is thrown away."""

    def get_extra_info(self, _name: str, default: Any = None) -> Any:
        """Nothing is known of who is not there."""
        return default

    def is_closing(self) -> bool:
        """It stays open."""
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Throw it away."""

    def write_eof(self) -> None:
        """Nobody waits for it. It comes to this where the clock was set meanwhile, and a callback is refused."""

    def close(self) -> None:
        """There is nothing to close."""

    def abort(self) -> None:
        """There is nothing to close."""


class WarmUp:
    """A server with nothing behind it.

    Args:
        settings: those of the process.
    """

    def __init__(self, settings: BridgeSettings) -> None:
        self.journal = NothingKept()
        # Of no address, decided by nobody, and none of them counts against a limit: they are all in flight in the end.
        # Nor is one stale, where a second is all that is allowed and this process has to wait for the processor.
        free = {"allowed_networks": [], "decision_urls": {}, "max_in_flight": MANY, "clock_skew_s": MAX_SKEW_S}
        settings = settings.model_copy(update=free)
        self._server = HttpServer.from_settings(
            settings,
            Ingress(settings, self.journal, drift=NothingNoted()),
            lambda: None,
            max_connections=1,
            confirms=lambda: True,
        )
        self._app, tokens = next(iter(settings.apps.items()))
        self._token = tokens[0].get_secret_value() if tokens else None

    def post(self, command: str, body: bytes, *, in_pieces: bool = False) -> None:
        """Take a callback from its bytes to those of its reply; only that it is durable is left out."""
        head = self._head(command, len(body))
        connection = self._server.connection()
        connection.connection_made(NobodyThere())
        for piece in (head, body) if in_pieces else (head + body,):
            connection.data_received(piece)
        self._server.end_gathering()
        if not connection.may_give_way:
            connection.respond(replies.accepted(command))
        connection.connection_lost(None)

    def _head(self, command: str, size: int) -> bytes:
        query = {"SdkAppid": self._app, "CallbackCommand": command, "contenttype": "json", "OptPlatform": "iOS"}
        if self._token is not None:
            now = str(int(time.time()))
            query |= {"RequestTime": now, "Sign": sign(self._token, now)}
        return f"POST /?{urlencode(query)} HTTP/1.1\r\nHost: warm-up\r\nContent-Length: {size}\r\n\r\n".encode()


def warm_up(settings: BridgeSettings) -> list[Record]:
    """Read, verify, normalize and answer callbacks: nothing is kept, published, counted or logged.

    All documented commands are among them, in another form than the documented one too. Called on the event loop.

    Returns:
        the records that they became.
    """
    server = WarmUp(settings)
    for _ in range(ROUNDS):
        server.post(COMMAND, BODY)
    server.post(COMMAND, BODY, in_pieces=True)
    server.post(COMMAND, UNREADABLE)
    for entry in registry.ENTRIES:
        lenient.prepare(entry.data)
        command = entry.callback.command
        server.post(command, DIFFERENT % command.encode())
    return server.journal.records
