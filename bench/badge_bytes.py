"""How many bytes a badge takes in Redis: the layout that was, the one that is, and others that could be.

`python -m bench.badge_bytes --badges 1000000` fills an empty server with so many badges of each layout in turn, and
tells `used_memory` for each badge, its key and the server's own table included. `--server` names another
`redis-server` or `valkey-server` than the embedded one.
"""

from __future__ import annotations

import argparse
import hashlib
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import redis

from bridge.devstack.embedded import redis_binary
from tests.support.ports import free_port

_CHUNK = 2000
_NOON_MS = 1_790_000_000_000
Row = tuple[str, ...] | dict[str, str | bytes | int] | bytes


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
    return b"".join(hashlib.sha1(_id(number + at).encode()).digest()[:6] for at in range(seen))  # noqa: S324


def _named(number: int, *, stale: bool, seen: int) -> dict[str, str | bytes | int]:
    row: dict[str, str | bytes | int] = {
        "unread": number % 120,
        "time": _NOON_MS + number,
        "event_id": _id(number),
        "stale": int(stale),
    }
    if stale:
        row["S"] = f"{_NOON_MS + number} {_id(number + 1)}"
    if seen:
        row["k"] = _digests(number, seen)
    return row


def _short(number: int, *, stale: bool, seen: int) -> dict[str, str | bytes | int]:
    row: dict[str, str | bytes | int] = {"u": number % 120, "t": _NOON_MS + number, "e": _id(number)}
    if stale:
        row["S"] = f"{_NOON_MS + number} {_id(number + 1)}"
    if seen:
        row["k"] = _digests(number, seen)
    return row


def _packed(number: int, *, stale: bool, seen: int) -> bytes:
    stale_part = (_NOON_MS + number, bytes.fromhex(_id(number + 1))) if stale else None
    return msgspec.msgpack.encode(
        (number % 120, _NOON_MS + number, bytes.fromhex(_id(number)), stale_part, _digests(number, seen))
    )


def _field(number: int, *, stale: bool, seen: int) -> dict[str, str | bytes | int]:
    return {"b": _packed(number, stale=stale, seen=seen)}


def _struct(number: int, *, stale: bool, seen: int) -> bytes:
    row = struct.pack("<BIQ", stale, number % 120, _NOON_MS + number)[:11] + bytes.fromhex(_id(number))
    return row + (struct.pack("<Q", _NOON_MS)[:6] + bytes.fromhex(_id(number + 1)) if stale else b"") + _digests(number, seen)


_LAYOUTS: dict[str, Callable[..., Row]] = {
    "hash, seven fields (before)": _before,
    "hash, the four public names, the rest only where needed": _named,
    "hash, names of one letter": _short,
    "hash of one packed field": _field,
    "string, MessagePack": _packed,
    "string, packed by hand": _struct,
}
_KINDS = {"fresh": (False, 0), "stale": (True, 0), "fresh, 16 ids known": (False, 16)}


def _fill(client: redis.Redis, layout: Callable[..., Row], badges: int, *, stale: bool, seen: int) -> float:
    client.flushall()
    empty = int(client.info("memory")["used_memory"])
    for start in range(0, badges, _CHUNK):
        with client.pipeline(transaction=False) as pipeline:
            for number in range(start, min(start + _CHUNK, badges)):
                key = f"im:badge:1400000000:user{number:08}"
                row = layout(number, stale=stale, seen=seen)
                if isinstance(row, dict):
                    pipeline.hset(key, mapping=dict(row))
                else:
                    pipeline.set(key, row)  # type: ignore[arg-type]
            pipeline.execute()
    return (int(client.info("memory")["used_memory"]) - empty) / badges


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--badges", type=int, default=1_000_000)
    parser.add_argument("--server", type=Path, default=None)
    given = parser.parse_args()
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [str(given.server or redis_binary()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        server = subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL)
        try:
            client = redis.Redis(port=port)
            while True:
                try:
                    version = client.info("server")
                    break
                except redis.ConnectionError:
                    time.sleep(0.05)
            name = f"{version.get('server_name', 'redis')} {version.get('valkey_version', version['redis_version'])}"
            print(f"{name}, {given.badges} badges, bytes each")  # noqa: T201
            print("| layout |", " | ".join(_KINDS), "|")  # noqa: T201
            print("| --- |", " | ".join("---:" for _ in _KINDS), "|")  # noqa: T201
            for title, layout in _LAYOUTS.items():
                sizes = [_fill(client, layout, given.badges, stale=stale, seen=seen) for stale, seen in _KINDS.values()]
                print(f"| {title} |", " | ".join(f"{size:.0f}" for size in sizes), "|", flush=True)  # noqa: T201
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
