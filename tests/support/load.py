"""Load as the platform makes it: many keep-alive connections, each callback sent once and never again.

Every account belongs to one connection, and its next callback leaves only after the reply to the one before (or when
it is known that none will come); so the driver knows in which order an account's callbacks were accepted. It runs in a
thread with a loop of its own: whatever a test does meanwhile, blocking or not, does not hold up the clock.
"""

import asyncio
import itertools
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import orjson
import uvloop

from tests.support.callbacks import APP_ID, PLATFORM_WAITS_S, RECALLED, TOKEN, signed_query
from tests.support.waiting import PATIENCE, wait_until

DRIVER_WAITS_S = PLATFORM_WAITS_S * PATIENCE
"""Then the driver gives up, as the platform does on a machine that does nothing else. How long replies take is measured
by bench/."""


@dataclass(slots=True, eq=False)
class SentCallback:
    """One callback and what became of it. Times are of the monotonic clock, in seconds.

    `status` and `body` are None when no reply came: the connection broke, or (`timed_out`) the driver hung up.
    `connection` tells the TCP connections of a load apart: what went over one was answered by one process.
    """

    account: str
    sequence: int
    msg_key: str
    sent: float
    replied: float | None = None
    status: int | None = None
    body: bytes | None = None
    acknowledged: bool = False
    timed_out: bool = False
    connection: int = 0


class Load:
    """Sends while the `with` block lasts, or until `total` callbacks are sent; then waits for the replies in flight.

    `rate` is callbacks per second over all connections (None: as fast as replies come). After `timeout` without a reply
    a connection is closed, as the platform does after 2 s, and opened anew.
    """

    def __init__(
        self,
        port: int,
        *,
        connections: int = 64,
        accounts_per_connection: int = 4,
        rate: float | None = None,
        total: int | None = None,
        timeout: float = DRIVER_WAITS_S,
        app_id: str = APP_ID,
        token: str = TOKEN,
    ) -> None:
        self.sent: list[SentCallback] = []
        self.turned_away: list[Exception] = []
        """Why connections could not be opened, one of each attempt."""
        self._port = port
        self._connections = connections
        self._accounts_per_connection = accounts_per_connection
        self._pause = connections / rate if rate else 0.0
        self._left = itertools.repeat(None) if total is None else itertools.repeat(None, total)
        self._timeout = timeout
        self._signed_by = (app_id, token)
        self._query = (0, "")
        self._opened = itertools.count(1)
        self._run = uuid.uuid4().hex[:8]
        self._acknowledged = 0
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._done: Future[None] | None = None

    @property
    def acknowledged(self) -> list[SentCallback]:
        """Those answered with 200 and ActionStatus OK, so far."""
        return [one for one in list(self.sent) if one.acknowledged]

    @property
    def refused(self) -> list[SentCallback]:
        """Those with any other reply, so far."""
        return [one for one in list(self.sent) if one.status is not None and not one.acknowledged]

    @property
    def unanswered(self) -> list[SentCallback]:
        """Those without a reply, those in flight among them while the load runs."""
        return [one for one in list(self.sent) if one.status is None]

    def slow(self, limit: float = DRIVER_WAITS_S) -> list[SentCallback]:
        """Those whose reply took longer than `limit` seconds, or never came although the connection stood."""
        return [one for one in list(self.sent) if one.timed_out or (one.replied or 0) - one.sent > limit]

    def latency(self, quantile: float) -> float:
        """Seconds from sending to the reply, at a quantile (0.99) of all replies. Raises ValueError without any."""
        taken = sorted(one.replied - one.sent for one in list(self.sent) if one.replied is not None)
        if not taken:
            raise ValueError("no reply yet")
        return taken[min(int(len(taken) * quantile), len(taken) - 1)]

    def wait_acknowledged(self, more: int, *, timeout: float = 30) -> None:
        """Wait until that many more than now are acknowledged. Raises TimeoutError, or what ended the driver."""
        target = self._acknowledged + more

        def reached() -> bool:
            if self._done and self._done.done():
                self._done.result()
            return self._acknowledged >= target

        wait_until(reached, timeout=timeout, what=self._account)

    def finish(self, *, timeout: float = 60) -> None:
        """Wait until `total` callbacks are sent and answered. Raises TimeoutError, or what ended the driver."""
        assert self._done
        self._done.result(timeout)

    def __enter__(self) -> Self:
        self._done = self._pool.submit(self._main)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._pool.shutdown()
        if error is None:
            self.finish()

    def _account(self) -> str:
        return (
            f"more callbacks acknowledged; of {len(self.sent)} sent {self._acknowledged} were acknowledged, "
            f"{len(self.refused)} refused, {len(self.unanswered)} not answered; the last refused: {self.refused[-1:]}"
        )

    def _main(self) -> None:
        async def all_connections() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(self._connections):
                    group.create_task(self._connection(number))

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(all_connections())

    async def _connection(self, number: int) -> None:
        accounts = [f"{self._run}-{number}-{account}" for account in range(self._accounts_per_connection)]
        turns = ((account, sequence) for sequence in itertools.count(1) for account in accounts)
        due = time.monotonic() + self._pause * number / self._connections
        while not self._stop.is_set():
            try:
                async with asyncio.timeout(self._timeout):
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except (OSError, TimeoutError) as error:
                self.turned_away.append(error)
                await asyncio.sleep(0.02)
                continue
            try:
                if await self._callbacks(reader, writer, turns, due):
                    return
            finally:
                writer.close()
            due = time.monotonic()

    async def _callbacks(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, turns: Iterator[tuple[str, int]], due: float
    ) -> bool:
        """Send over one connection until it breaks (False) or everything is sent (True)."""
        opened = next(self._opened)
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += self._pause
            if self._stop.is_set() or next(self._left, self) is self:
                return True
            account, sequence = next(turns)
            msg_key = f"{sequence}_{self._run}_{account}"
            one = SentCallback(account, sequence, msg_key, time.monotonic(), connection=opened)
            self.sent.append(one)
            try:
                async with asyncio.timeout(self._timeout):
                    writer.write(self._request(one))
                    stays_open = await _read_reply(reader, one)
            except TimeoutError:
                one.timed_out = True
                return False
            except (OSError, RuntimeError, asyncio.IncompleteReadError):  # uvloop's name for a closed transport
                return False
            self._acknowledged += one.acknowledged
            if not stays_open:
                return False

    def _request(self, one: SentCallback) -> bytes:
        now = time.time()
        if self._query[0] != int(now):
            app_id, token = self._signed_by
            self._query = (int(now), signed_query(app_id, token, RECALLED, request_time=int(now)))
        body = orjson.dumps(
            {
                "CallbackCommand": RECALLED,
                "From_Account": "jared",
                "To_Account": one.account,
                "MsgKey": one.msg_key,
                "UnreadMsgNum": one.sequence,
                "EventTime": int(now * 1000),
            }
        )
        head = f"POST /{self._query[1]} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body


async def _read_reply(reader: asyncio.StreamReader, one: SentCallback) -> bool:
    """Fill in the reply; whether the connection can be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    body = await reader.readexactly(int(length or 0))
    one.replied = time.monotonic()
    one.status = int(head.split(None, 2)[1])
    one.body = body
    one.acknowledged = one.status == 200 and orjson.loads(body)["ActionStatus"] == "OK"
    return b"connection: close" not in head
