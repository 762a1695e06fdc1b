"""One process that posts: `python -m bridge.load.posting_process`, started by `bridge load`.

Standard input: a line with the plan in JSON, then one that says go. Its end says stop. Standard output: `ready`, then a
`Tally` in JSON each second, of what was new; the last one when all replies are there.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from http import HTTPStatus

import aiohttp
import msgspec
from yarl import URL

from bridge.devstack.posting import CallbackReply
from bridge.load.callbacks import Callbacks, Flaw, LoadRequest
from bridge.load.plan import PLATFORM_WAITS_S, LoadPlan
from bridge.load.tally import CallbackOutcome, Tally
from common.unreachable import why_unreachable

TELL_INTERVAL_S = 1.0
MAX_WAITING = 100_000
"""Callbacks that wait for a reply. An ingress that answers none would fill our memory within two seconds."""


class PostingProcess:
    """Posts as a plan says, whatever the ingress does: a callback is due when it is due, and its time runs from then.

    Args:
        plan: what is posted.
        session: by which it is.
    """

    def __init__(self, plan: LoadPlan, session: aiohttp.ClientSession) -> None:
        self._plan = plan
        self._session = session
        self._callbacks = Callbacks(plan, seed=os.getpid())
        self._tally = Tally()
        self._waiting: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def take_tally(self) -> Tally:
        """What was counted since the last call."""
        tally, self._tally = self._tally, Tally()
        return tally

    async def run(self, stop: asyncio.Event) -> None:
        """Post until the time is over or `stop` is set, and wait for the replies."""
        began = self._loop.time()
        streams = [self._steady(began)]
        if self._plan.burst is not None:
            streams.append(self._bursts(began, self._plan.burst.size, self._plan.burst.every_s))
        posting = [asyncio.create_task(stream) for stream in streams]
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({stopped}, timeout=self._plan.seconds)
        for task in (*posting, stopped):
            task.cancel()
        await asyncio.gather(*posting, stopped, return_exceptions=True)
        while self._waiting:
            await asyncio.wait(self._waiting)

    async def _steady(self, due: float) -> None:
        chance = random.Random()  # noqa: S311 - no secret
        while True:
            due += chance.expovariate(self._plan.rate)
            # Also where we are late: else nothing would be read meanwhile.
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            self._post(due)

    async def _bursts(self, due: float, size: int, every_s: float) -> None:
        while True:
            due += every_s
            await asyncio.sleep(due - self._loop.time())
            for _ in range(size):
                self._post(due)

    def _post(self, due: float) -> None:
        self._tally.due += 1
        if len(self._waiting) >= MAX_WAITING:
            self._tally.note("no reply", seconds=PLATFORM_WAITS_S, late_s=PLATFORM_WAITS_S)
            return
        task = self._loop.create_task(self._answered(due))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _answered(self, due: float) -> None:
        request = self._callbacks.make()
        late_s = self._loop.time() - due
        surprise = ""
        outcome: CallbackOutcome = "no reply"
        try:
            async with asyncio.timeout_at(due + PLATFORM_WAITS_S):
                outcome, surprise = await self._outcome(request)
        except TimeoutError:
            pass
        except aiohttp.ClientConnectorError as error:
            outcome, surprise = "not connected", why_unreachable(error.os_error)
        except (aiohttp.ClientError, OSError) as error:
            # Of an error while the body is sent the text has the address, which is another one for each callback.
            cause = error.__cause__ or error
            surprise = f"the connection broke: {cause if str(cause) else type(cause).__name__}"
        seconds = PLATFORM_WAITS_S if outcome in ("no reply", "not connected") else self._loop.time() - due
        self._tally.note(outcome, seconds=seconds, late_s=late_s, surprise=surprise)

    async def _outcome(self, request: LoadRequest) -> tuple[CallbackOutcome, str]:
        started = time.perf_counter()
        url = URL(request.url, encoded=True)
        async with self._session.post(url, data=request.body, allow_redirects=False) as response:
            content = await response.read()
            reply = CallbackReply(response.status, response.reason or "", content, time.perf_counter() - started)
        if request.flaw.status is not HTTPStatus.OK:
            is_right = reply.status == request.flaw.status
            return ("refused as it had to be", "") if is_right else ("refused", f"{reply.status} to a wrong signature")
        if reply.is_accepted or (request.flaw is Flaw.BROKEN_BODY and reply.status == HTTPStatus.OK):
            return "acknowledged", ""
        outcome: CallbackOutcome = "busy" if reply.status == HTTPStatus.SERVICE_UNAVAILABLE else "refused"
        return outcome, f"{reply.status} {content[:200].decode(errors='replace')}"


async def main() -> None:
    """Run the process."""
    plan = msgspec.json.decode(sys.stdin.buffer.readline(), type=LoadPlan)
    connector = aiohttp.TCPConnector(limit=plan.connections)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        process = PostingProcess(plan, session)
        print("ready", flush=True)  # noqa: T201
        if not sys.stdin.buffer.readline():
            return
        stop = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)  # It says nothing more, but ends.
        running = asyncio.create_task(process.run(stop))
        while not running.done():
            await asyncio.wait({running}, timeout=TELL_INTERVAL_S)
            print(msgspec.json.encode(process.take_tally()).decode(), flush=True)  # noqa: T201
        running.result()


if __name__ == "__main__":
    asyncio.run(main())
