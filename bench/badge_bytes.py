"""How many bytes a badge takes in Redis: the layout that was, those that are, and others that could be.

`python -m bench.badge_bytes --badges 1000000` fills a new server with so many badges of each layout in turn, and tells
the growth of `used_memory` for each badge, its key and the server's own table included. `--server` names another
`redis-server` or `valkey-server` than the embedded one.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable

import msgspec
import redis

from bridge.devstack.embedded import redis_binary
from tests.support.ports import free_port

_CHUNK = 2000
_KNOWN_FIELD = 56
_NOON_MS = 1_790_000_000_000
Row = dict[str, str | bytes | int] | bytes


def _id(number: int) -> str:
    return hashlib.blake2b(b"%d" % number, digest_size=16).hexdigest()


def _before(number: int, *, stale: bool, seen: int) -> dict[str, str | bytes | int]:
    known = "".join(f"{_id(number + at)} " for at in range(seen))
    return {
        "stale": int(stale),
        "stale_time": _NOON_MS + number if stale else "",
        "stale_id": _id(number + 1) if stale else "",
        "seen": f" {known}" if known else "",
        "unread": number % 120,
        "time": _NOON_MS + number,
        "event_id": _id(number),
    }


def _digests(number: int, seen: int) -> bytes:
    return b"".join(hashlib.sha1(_id(number + at).encode()).digest()[:6] for at in range(seen))


def _known(number: int, seen: int) -> dict[str, str | bytes | int]:
    text = base64.b64encode(_digests(number, seen))
    parts = [text[start : start + _KNOWN_FIELD] for start in range(0, len(text), _KNOWN_FIELD)]
    return dict(zip("klm", parts, strict=False))


def _named(number: int, *, stale: bool, seen: int) -> dict[str, str | bytes | int]:
    row: dict[str, str | bytes | int] = {
        "unread": number % 120,
        "time": _NOON_MS + number,
        "event_id": _id(number),
        "stale": int(stale),
    }
    if stale:
        row["S"] = f"{_NOON_MS + number} {_id(number + 1)}"
    return row | _known(number, seen)


def _short(number: int, *, stale: bool, seen: int) -> dict[str, str | bytes | int]:
    row: dict[str, str | bytes | int] = {"u": number % 120, "t": _NOON_MS + number, "e": _id(number)}
    if stale:
        row["S"] = f"{_NOON_MS + number} {_id(number + 1)}"
    return row | _known(number, seen)


def _packed(number: int, *, stale: bool, seen: int) -> bytes:
    stale_at = (_NOON_MS + number, bytes.fromhex(_id(number + 1))) if stale else (False, False)
    count = (number % 120, _NOON_MS + number, bytes.fromhex(_id(number)))
    return b"b1" + msgspec.msgpack.encode((*count, *stale_at, _digests(number, seen)))


def _field(number: int, *, stale: bool, seen: int) -> dict[str, str | bytes | int]:
    return {"b": _packed(number, stale=stale, seen=seen)}


def _by_hand(number: int, *, stale: bool, seen: int) -> bytes:
    row = struct.pack("<BIQ", stale, number % 120, _NOON_MS + number)[:11] + bytes.fromhex(_id(number))
    stale_at = struct.pack("<Q", _NOON_MS)[:6] + bytes.fromhex(_id(number + 1)) if stale else b""
    return row + stale_at + _digests(number, seen)


_LAYOUTS: dict[str, Callable[..., Row]] = {
    "hash of seven fields (before)": _before,
    "hash: the four public fields, others only where needed (`hash`)": _named,
    "hash with names of one letter": _short,
    "hash of one packed field": _field,
    "string, MessagePack (`packed`)": _packed,
    "string, packed by hand": _by_hand,
}
_KINDS = {"fresh": (False, 0), "stale": (True, 0), "16 ids known": (False, 16)}


def _command(*words: str | bytes | int) -> bytes:
    raw = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in raw)


def _fill(client: redis.Redis, port: int, layout: Callable[..., Row], badges: int, *, stale: bool, seen: int) -> float:
    empty = int(client.info("memory")["used_memory"])
    # Without answers, and not packed by the client: it takes a fifth of the time.
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(_command("CLIENT", "REPLY", "OFF"))
        for start in range(0, badges, _CHUNK):
            commands = []
            for number in range(start, min(start + _CHUNK, badges)):
                key = f"im:badge:1400000000:user{number:08}"
                row = layout(number, stale=stale, seen=seen)
                if isinstance(row, bytes):
                    commands.append(_command("SET", key, row))
                else:
                    commands.append(_command("HSET", key, *(part for pair in row.items() for part in pair)))
            connection.sendall(b"".join(commands))
        while int(client.dbsize()) < badges:
            time.sleep(0.05)
    while client.info("clients")["connected_clients"] > 1:
        time.sleep(0.05)  # Its buffers are no badges.
    return (int(client.info("memory")["used_memory"]) - empty) / badges


def _measure(
    command: list[str], layout: Callable[..., Row], badges: int, *, stale: bool, seen: int
) -> tuple[str, float]:
    """Name of a new server, and bytes a badge in it."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        server = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        client = redis.Redis(port=port)
        try:
            while True:
                try:
                    told = client.info("server")
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            name = f"{told.get('server_name', 'redis')} {told.get('valkey_version', told['redis_version'])}"
            return name, _fill(client, port, layout, badges, stale=stale, seen=seen)
        finally:
            client.close()
            server.terminate()
            server.wait()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--badges", type=int, default=1_000_000)
    parser.add_argument("--server", default=None)
    parser.add_argument("--layouts", type=int, nargs="*", default=list(range(len(_LAYOUTS))), help="numbers, from 0")
    parser.add_argument("--kinds", nargs="*", default=list(_KINDS), choices=_KINDS)
    given = parser.parse_args()
    kinds = {name: _KINDS[name] for name in given.kinds}
    command = [given.server or str(redis_binary())]
    print(f"| layout, {given.badges} badges |", " | ".join(kinds), "|")  # noqa: T201
    print("| --- |", " | ".join("---:" for _ in kinds), "|")  # noqa: T201
    for title, layout in [list(_LAYOUTS.items())[number] for number in given.layouts]:
        found = [_measure(command, layout, given.badges, stale=stale, seen=seen) for stale, seen in kinds.values()]
        sizes = " | ".join(f"{size:.0f}" for _, size in found)
        print(f"| {title}, {found[0][0]} | {sizes} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
