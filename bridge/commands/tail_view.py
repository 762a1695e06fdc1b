"""`bridge tail` on a terminal: draws what comes, listens to keys, posts what is sent again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time

import orjson
from aiokafka import ConsumerRecord

from bridge.commands.tail_filter import RecordFilter
from bridge.commands.tail_keys import keys_of_terminal
from bridge.commands.tail_screen import TailScreen
from bridge.contract.fresh import fresh
from bridge.contract.rebuilt_body import body_of_record
from bridge.contract.record_line import content_of
from bridge.devstack.posting import NoReplyError, UsageError, credentials, post, signed_url
from bridge.settings import DeveloperSettings
from common.kafka.follower import Follower
from common.terminal import Output
from common.text import text_of

DRAW_EVERY_S = 0.1
LATEST_OF_PARTITION = 50
"""So many are there at once: a view that begins empty shows nothing to choose."""


class TailView:
    """The view, which `run` shows until a person ends it.

    Args:
        settings: of Kafka, and of where callbacks are posted.
        topic: that is followed.
        chosen: which records are shown.
        output: the terminal.
        from_beginning: also all that is there already.

    Raises:
        OSError: a certificate cannot be read.
    """

    def __init__(
        self, settings: DeveloperSettings, topic: str, chosen: RecordFilter, output: Output, *, from_beginning: bool
    ) -> None:
        self._settings = settings
        self._chosen = chosen
        self._output = output
        self._is_ended = False
        self._left = asyncio.Event()
        """The person ends it, or puts it aside."""
        self._changed = asyncio.Event()
        self._posting: set[asyncio.Task[None]] = set()
        self._screen = TailScreen(topic, send_again=self._send_again, end=self._end)
        self._follower = Follower(
            settings.kafka_client,
            [topic],
            from_beginning=from_beginning,
            report=self._tell,
            latest=LATEST_OF_PARTITION,
        )

    async def run(self) -> None:
        """Show it until the person ends it. While it is put aside (Ctrl-Z) the terminal is as it was before."""
        following = asyncio.create_task(self._follow())
        try:
            await self._show()
            while not self._is_ended:
                # Not SIGSTOP: where no shell could have it go on, the system ignores this one.
                os.kill(os.getpid(), signal.SIGTSTP)
                await self._show()
        finally:
            for task in (following, *self._posting):
                task.cancel()
            await asyncio.gather(following, *self._posting, return_exceptions=True)

    async def _show(self) -> None:
        """Draw, and listen to keys, until the person ends it or puts it aside."""
        self._left.clear()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTSTP, self._left.set)
        drawing = asyncio.create_task(self._draw())
        try:
            with keys_of_terminal(sys.stdin.fileno(), self._press, self._paste):
                await self._left.wait()
        finally:
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)
            loop.remove_signal_handler(signal.SIGTSTP)

    def _end(self) -> None:
        self._is_ended = True
        self._left.set()

    def _press(self, key: str) -> None:
        self._screen.press(key)
        self._changed.set()

    def _paste(self, text: str) -> None:
        self._screen.paste(text)
        self._changed.set()

    def _tell(self, state: str) -> None:
        self._screen.state = state
        self._changed.set()

    async def _follow(self) -> None:
        async with contextlib.aclosing(self._follower.batches()) as all_batches:
            async for batches in all_batches:
                records = [record for batch in batches.values() for record in batch]
                for record in sorted(records, key=lambda one: int(one.timestamp)):
                    if self._chosen.admits(record):
                        self._screen.add(record)
                self._changed.set()
                await asyncio.sleep(0)

    async def _draw(self) -> None:
        size = None
        with self._output.screen() as live:
            while True:
                now = shutil.get_terminal_size()
                if self._changed.is_set() or now != size:
                    self._changed.clear()
                    size = now
                    self._screen.width, self._screen.height = size
                    live.update(self._screen.drawn(), refresh=True)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DRAW_EVERY_S):
                        await self._changed.wait()
                        await asyncio.sleep(DRAW_EVERY_S / 4)  # What comes at once is drawn at once.

    def _send_again(self, record: ConsumerRecord) -> None:
        task = asyncio.create_task(self._post(record))
        self._posting.add(task)
        task.add_done_callback(self._posting.discard)

    async def _post(self, record: ConsumerRecord) -> None:
        settings, event = self._settings, content_of(record)
        body, _ = body_of_record(record, event)
        content = fresh(orjson.dumps(body)) if isinstance(body, dict | list) else str(body).encode()
        address = settings.console_send_url or f"http://127.0.0.1:{settings.port}/"
        began = time.monotonic()
        try:
            signer = credentials(settings, text_of(event.get("source")).rpartition("/")[2] or None)
            url = signed_url(address, signer, text_of(event["callbackcommand"]))
            reply = await post(url, content)
        except (UsageError, NoReplyError) as error:
            self._screen.message = str(error)
        else:
            text = reply.body.decode(errors="replace").strip()
            took_ms = (time.monotonic() - began) * 1000
            self._screen.message = f"{reply.status} {reply.reason} after {took_ms:.0f} ms: {text}"
        self._changed.set()
