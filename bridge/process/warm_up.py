"""Takes a callback most of its way before the first one comes, which would wait for what happens only once."""

from __future__ import annotations

import time
from urllib.parse import urlencode

from bridge.http.response import render
from bridge.ingress import replies
from bridge.ingress.ingress import Ingress
from bridge.ingress.replies import PlatformReply
from bridge.ingress.verify import sign
from bridge.journal.groups import Resolve
from bridge.journal.record import Record
from bridge.settings import BridgeSettings

ROUNDS = 3
COMMAND = "C2C.CallbackAfterMsgWithDraw"
BODY = b"""{"CallbackCommand":"C2C.CallbackAfterMsgWithDraw","From_Account":"warm","To_Account":"up","MsgKey":"1_2_3",
"UnreadMsgNum":7,"EventTime":1557481126123}"""


class NothingKept:
    """A journal that forgets what it is given, and never tells that it is durable."""

    fraction_used = 0.0

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, record: Record, _resolve: Resolve, /) -> None:
        """Take a record."""
        self.records.append(record)


class WarmUpCallback:
    """A callback that nobody sent; it gets no reply."""

    method = "POST"
    peer = None
    forwarded_for = traceparent = ""
    body = BODY
    size = len(BODY)

    def __init__(self, path: str) -> None:
        self.path = path
        self.arrived = time.perf_counter()

    def respond(self, reply: PlatformReply) -> None:
        """Nobody waits for it."""


def warm_up(settings: BridgeSettings) -> list[Record]:
    """Verify and normalize a callback, and render its reply: nothing is kept, published, counted or logged.

    Returns:
        the records that it became.
    """
    journal = NothingKept()
    # Of no address, and decided by nobody.
    ingress = Ingress(settings.model_copy(update={"allowed_networks": [], "decision_urls": {}}), journal)
    app, tokens = next(iter(settings.apps.items()))
    query = {"SdkAppid": app, "CallbackCommand": COMMAND, "contenttype": "json"}
    if tokens:
        now = str(int(time.time()))
        query |= {"RequestTime": now, "Sign": sign(tokens[0].get_secret_value(), now)}
    for _ in range(ROUNDS):
        ingress.accept(WarmUpCallback(f"/?{urlencode(query)}"))
        render(replies.accepted(COMMAND), False)
    return journal.records
