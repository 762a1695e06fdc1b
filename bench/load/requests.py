"""The file of requests for the load generator: callbacks with places that it fills anew for each request it sends."""

from __future__ import annotations

import random
import struct
import tempfile
import time
from functools import cache
from pathlib import Path

from tests.support import callbacks
from tests.support.callbacks import APP_ID, TOKEN, PostedCallback

POOL = 20_000
ACCOUNTS = 2_000
HOT = "hot"
"""A mix of callbacks that are all about one account, and so all in one partition."""
SIGNED_S = 86_400
"""No run takes longer than a day."""

CLIENT_IP = "100.100.100.101"
SIGNATURE = "5" * 64
REQUEST_TIME = "7777777777"
KEY = "9999999999"
"""They stand for what the generator writes, in its length; load.c says how long each is."""

MIXES = {
    "recalls": (callbacks.RECALLED,),
    HOT: (callbacks.RECALLED,),
    "mixed": (callbacks.RECALLED, callbacks.SENT, callbacks.SENT, callbacks.READ),
}


@cache
def file(mix: str = "recalls") -> Path:
    """A file of requests, signed for the day that begins now; written once, removed at the end of this process."""
    path = Path(_folder().name) / mix
    write(path, mix)
    return path


def write(path: Path, mix: str = "recalls", seconds: int = SIGNED_S) -> None:
    """Write a file that is signed for so many seconds from now.

    As load.c reads it: the first second and how many are signed, a signature of each; then for each request its length,
    the places in it of address, signature, request time and message key (0 where there is none), and its bytes.
    Integers have 32 bits and the byte order of this machine.
    """
    first = int(time.time()) - 1
    with path.open("wb") as out:
        out.write(struct.pack("=II", first, seconds))
        out.write("".join(callbacks.sign(TOKEN, second) for second in range(first, first + seconds)).encode())
        for request in _requests(mix):
            places = (_place(request, text) for text in (CLIENT_IP, SIGNATURE, REQUEST_TIME, KEY))
            out.write(struct.pack("=5I", len(request), *places) + request)


def callback(command: str, account: str, number: int, event_time: int) -> PostedCallback:
    """A callback to (or of) that account, its message key to be filled in."""
    if command == callbacks.READ:
        return callbacks.read(account, unread=number % 100, event_time=event_time, Peer_Account=KEY)
    make = callbacks.sent if command == callbacks.SENT else callbacks.recalled
    return make(account, unread=number % 100, event_time=event_time, MsgKey=f"{KEY}_2696768249_1765402240")


def as_bytes(one: PostedCallback) -> bytes:
    """The request as it goes over the wire, address and signature to be filled in."""
    query = callbacks.signed_query(
        APP_ID, TOKEN, one.command, request_time=REQUEST_TIME, ClientIP=CLIENT_IP, Sign=SIGNATURE
    )
    head = f"POST /callback{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(one.body)}\r\n\r\n"
    return head.encode() + one.body


def _requests(mix: str) -> list[bytes]:
    chance = random.Random(1)
    now = int(time.time() * 1000)
    made = []
    for number in range(POOL):
        account = f"user-{chance.randrange(1 if mix == HOT else ACCOUNTS)}"
        made.append(as_bytes(callback(chance.choice(MIXES[mix]), account, number, now + number)))
    return made


def _place(request: bytes, text: str) -> int:
    return max(request.find(text.encode()), 0)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="im-bridge-load-")
