"""The load generator: a process of its own, on a core of its own, cheap enough to outrun every server here.

`python -m bench.load PORT saturate CONNECTIONS SECONDS` sends the next request of a connection when the reply to the
last has come. `python -m bench.load PORT open RATE SECONDS` sends at scheduled times, whatever the server does, and
measures from the scheduled time: a server that stalls is charged for everyone who would have come meanwhile, and so
is a generator that is late. Where all connections wait, it opens another; after 2 s without a reply it hangs up.

The result is one JSON object on standard output; latencies in seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import itertools
import os
import random
import struct
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable
from typing import cast

import orjson
import uvloop

from tests.support.callbacks import PLATFORM_WAITS_S, recalled, signed_query

POOL = 20_000
ACCOUNTS = 2_000
TICK_S = 0.001
MAX_OPENING = 1_000
MAX_IDLE = 128


def requests(count: int = POOL) -> list[bytes]:
    """Different callbacks, signed now, as the bytes that go over the wire."""
    chance = random.Random(1)
    now = int(time.time() * 1000)
    made = []
    for number in range(count):
        account = f"user-{chance.randrange(ACCOUNTS)}"
        callback = recalled(account, unread=number % 100, event_time=now + number)
        head = (
            f"POST /callback{signed_query('1400000000', 'token-a', callback.command)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        )
        made.append(f"{head}Content-Length: {len(callback.body)}\r\n\r\n".encode() + callback.body)
    return made


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time on it.

    Args:
        on_reply: called with the connection and whether the status of the reply is 200.
        on_lost: called when the connection has ended.
    """

    def __init__(self, on_reply: Callable[[Connection, bool], None], on_lost: Callable[[Connection], None]) -> None:
        self._on_reply = on_reply
        self._on_lost = on_lost
        self._received = b""
        self._usual = 0
        self.due = 0.0
        self.waiting = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop: requests can be sent from now on."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class is none of asyncio's

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at that time."""
        assert self.transport
        self.due = due
        self.waiting = True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop with bytes of a reply."""
        self._received = data = self._received + data if self._received else data
        if len(data) != self._usual:
            head, found, body = data.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if not found or len(body) < length:
                return
            self._usual = len(data) if data[9:12] == b"200" else 0
        self._received = b""
        self.waiting = False
        self._on_reply(self, data[9:12] == b"200")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Called by the event loop when the connection has ended."""
        self.transport = None
        self._on_lost(self)


class Run:
    """What both kinds of load have in common: the requests, the connections, and what is counted.

    Args:
        port: of the server, on this machine.
        seconds: how long requests are sent.
    """

    def __init__(self, port: int, seconds: float) -> None:
        self.port = port
        self.seconds = seconds
        self.next_request = itertools.cycle(requests()).__next__
        self.latencies = array("d")
        self.refused = 0
        self.lost = 0
        self.loop = asyncio.get_running_loop()
        self.now = time.perf_counter

    async def connect(self) -> Connection:
        """A new connection."""
        _, protocol = await self.loop.create_connection(
            lambda: Connection(self.replied, self.broken), "127.0.0.1", self.port
        )
        return protocol

    def replied(self, connection: Connection, ok: bool) -> None:
        """A reply has come."""
        raise NotImplementedError

    def broken(self, _connection: Connection) -> None:
        """A connection has ended."""
        self.lost += 1

    def result(self, took: float) -> dict[str, object]:
        """Counts, and quantiles of the latencies in seconds. `took`: seconds from the first request to the end."""
        ordered = sorted(self.latencies)
        replies = len(ordered)
        quantiles = {
            f"p{name}": ordered[min(int(replies * share), replies - 1)] if replies else None
            for name, share in (("50", 0.5), ("99", 0.99), ("99_9", 0.999), ("100", 1.0))
        }
        return {"replies": replies, "refused": self.refused, "lost": self.lost, "seconds": took, **quantiles}


class Saturate(Run):
    """Load as heavy as the server bears: a connection sends its next request when the reply to the last has come."""

    def replied(self, connection: Connection, ok: bool) -> None:
        """Send the next request on this connection."""
        now = self.now()
        self.latencies.append(now - connection.due)
        self.refused += not ok
        if now < self._end:
            connection.send(self.next_request(), now)

    async def run(self, connections: int) -> dict[str, object]:
        """Send over so many connections for `seconds`, and return what is printed."""
        self._end = float("inf")
        opened = [await self.connect() for _ in range(connections)]
        began = self.now()
        self._end = began + self.seconds
        for connection in opened:
            connection.send(self.next_request(), self.now())
        await asyncio.sleep(self.seconds)
        return self.result(self.now() - began)


class Open(Run):
    """Load at a steady rate: requests leave at scheduled times, whatever the server does meanwhile."""

    def replied(self, connection: Connection, ok: bool) -> None:
        """Keep this connection for another request, or close it where enough are idle."""
        self.latencies.append(self.now() - connection.due)
        self.refused += not ok
        if len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        elif connection.transport is not None:
            connection.transport.close()

    async def run(self, rate: float, connections: int = 64) -> dict[str, object]:
        """Send so many requests per second for `seconds`, and return what is printed.

        Args:
            rate: requests per second.
            connections: how many are opened at first; more follow where all of them wait.
        """
        self._idle = deque([await self.connect() for _ in range(connections)])
        self._sent: deque[tuple[float, Connection]] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._scheduled = 0
        self._rate = rate
        began = self._began = self.now()
        timer = _ticks(TICK_S)
        self.loop.add_reader(timer, self._tick, timer)
        await asyncio.sleep(self.seconds)
        self._rate = 0.0
        await asyncio.sleep(PLATFORM_WAITS_S + 0.1)
        self.loop.remove_reader(timer)
        in_time = sum(latency <= PLATFORM_WAITS_S for latency in self.latencies) - self.refused
        return {**self.result(self.now() - began), "scheduled": self._scheduled, "in_time": in_time}

    def _tick(self, timer: int) -> None:
        os.read(timer, 8)
        now = self.now()
        # Due is all of the ticks so far, each at the time of its tick, however late this one comes.
        passed = int((now - self._began) / TICK_S) * TICK_S
        while self._scheduled < passed * self._rate:
            due = self._began + int(self._scheduled / self._rate / TICK_S) * TICK_S
            self._scheduled += 1
            self._send(due)
        while self._sent and self._sent[0][0] < now - PLATFORM_WAITS_S:
            due, connection = self._sent.popleft()
            if connection.waiting and connection.due == due and connection.transport is not None:
                connection.transport.abort()

    def _send(self, due: float) -> None:
        while self._idle:
            connection = self._idle.popleft()
            if connection.transport is not None:
                self._send_on(connection, due)
                return
        if len(self._opening) < MAX_OPENING:
            task = self.loop.create_task(self._send_on_new(due))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _send_on(self, connection: Connection, due: float) -> None:
        connection.send(self.next_request(), due)
        self._sent.append((due, connection))

    async def _send_on_new(self, due: float) -> None:
        with contextlib.suppress(OSError):
            self._send_on(await self.connect(), due)


def _ticks(seconds: float) -> int:
    """A file descriptor that is readable every so many seconds: the timers of an event loop are no finer than 1 ms."""
    libc = ctypes.CDLL(None, use_errno=True)
    timer = int(libc.timerfd_create(1, os.O_NONBLOCK))  # CLOCK_MONOTONIC
    nanoseconds = int(seconds * 1e9)
    libc.timerfd_settime(timer, 0, struct.pack("qqqq", 0, nanoseconds, 0, nanoseconds), None)
    return timer


async def main(arguments: list[str]) -> None:
    """Make the load that the arguments describe."""
    started = time.process_time()
    port, kind, amount, seconds = int(arguments[0]), arguments[1], float(arguments[2]), float(arguments[3])
    if kind == "saturate":
        result = await Saturate(port, seconds).run(int(amount))
    else:
        result = await Open(port, seconds).run(amount)
    result["cpu_seconds"] = time.process_time() - started
    sys.stdout.buffer.write(orjson.dumps(result))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1:]))
