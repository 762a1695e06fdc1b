"""What `consumers desk` does for the page of the bridge: looks at badges and workers, works on dead letters."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import typer
from aiokafka.errors import KafkaError

from common.dead_letter_commands import unusable
from common.dead_letter_filter import DeadLetterFilter
from common.dead_letter_replay import LetterMissingError, ReplayProgress
from common.kafka.topics import TopicsMissingError
from consumers.badges.redis_connection import ForeignKeyError
from consumers.badges.store import BadgeStore
from consumers.commands.dlq_replay import Replay
from consumers.commands.execution import quiet_settings, run_to_end
from consumers.commands.find_worker import make_worker
from consumers.commands.worker_status import GroupPlace, WorkerStatus, own_url, status_of
from consumers.errors import RetryLater, WorkerRefusedError, describe
from consumers.reconcile import reconciler
from consumers.settings import ConsumersSettings

MAX_REQUEST_BYTES = 1024 * 1024

DeskMessage = dict[str, Any]
Tell = Callable[[DeskMessage], None]


def run() -> None:
    """Answer requests until standard input ends."""
    settings = quiet_settings()
    # What a worker prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    run_to_end(_serve(settings, answers))


async def _serve(settings: ConsumersSettings, answers: io.RawIOBase) -> None:
    requests = asyncio.StreamReader(limit=MAX_REQUEST_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    desk = DeskWork(settings)
    running: set[asyncio.Task[None]] = set()
    try:
        while line := await requests.readline():
            request: DeskMessage = msgspec.json.decode(line)
            task = asyncio.create_task(desk.answer(request, _teller(request, answers)))
            running.add(task)
            task.add_done_callback(running.discard)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await desk.close()


def _teller(request: DeskMessage, answers: io.RawIOBase) -> Tell:
    def tell(answer: DeskMessage) -> None:
        left = memoryview(msgspec.json.encode({"id": request.get("id")} | answer) + b"\n")
        while left:  # Unbuffered: a write to a pipe may take a part only.
            left = left[answers.write(left) or 0 :]

    return tell


class DeskWork:
    """Answers requests.

    Args:
        settings: of the workers.
    """

    def __init__(self, settings: ConsumersSettings) -> None:
        self._settings = settings
        self._store = BadgeStore(settings)
        self._work: dict[str, Callable[[DeskMessage, Tell], Awaitable[Any]]] = {
            "badge": self._badge,
            "workers": self._workers,
            "replay": self._replay,
            "drop": self._drop,
        }

    async def close(self) -> None:
        """Disconnect."""
        await self._store.close()

    async def answer(self, request: DeskMessage, tell: Tell) -> None:
        """Do what a request wants, and tell what came of it."""
        settings = self._settings
        try:
            result = await self._work[request["do"]](request, tell)
        except (RetryLater, WorkerRefusedError, ForeignKeyError) as error:
            tell({"error": str(error), "may_quote": True})
        except (TopicsMissingError, LetterMissingError, _UnusableWorkerError) as error:
            tell({"error": str(error), "may_quote": False})
        except (KafkaError, TimeoutError) as error:
            why = unusable(error, settings.kafka_bootstrap_servers, "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS")
            tell({"error": why, "may_quote": False})
        except Exception as error:  # noqa: BLE001 - a worker may raise anything
            tell({"error": describe(error), "may_quote": True})
        else:
            tell({"result": result})

    async def _badge(self, request: DeskMessage, _tell: Tell) -> DeskMessage:
        """The badges of `account`, in the app `app` or (null) in all; when Redis lost badges, Unix ms or 0."""
        found = await self._store.find(request["account"], request.get("app"))
        return {"badges": found, "lost_at_ms": self._store.state.lost_at_ms}

    async def _workers(self, request: DeskMessage, _tell: Tell) -> list[WorkerStatus]:
        """How each of `workers` (name → admin addresses) is; with `letters` its dead letters are counted."""
        return list(
            await asyncio.gather(
                *(self._status(name, urls, letters=request["letters"]) for name, urls in request["workers"].items())
            )
        )

    async def _status(self, name: str, urls: list[str], *, letters: bool) -> WorkerStatus:
        settings = self._settings
        worker = None if name == reconciler.NAME else _made(name)
        own = own_url(settings)
        place = None if worker is None else GroupPlace(settings.group or worker.name, worker.topic(settings))
        return await status_of(name, place, settings, urls or ([own] if own else []), counts_letters=letters)

    async def _replay(self, request: DeskMessage, tell: Tell) -> DeskMessage:
        """Give letters (`chosen`, the fields of a DeadLetterFilter) to `worker`; with `dry_run` only count them."""
        worker = _made(request["worker"])
        return _told(await self._on_letters(request, tell).replay(worker, self._settings.group or worker.name))

    async def _drop(self, request: DeskMessage, tell: Tell) -> DeskMessage:
        """Mark letters as done."""
        return _told(await self._on_letters(request, tell).drop())

    def _on_letters(self, request: DeskMessage, tell: Tell) -> Replay:
        chosen = msgspec.convert(request["chosen"], DeadLetterFilter)
        return Replay(
            self._settings,
            chosen,
            dry_run=bool(request.get("dry_run")),
            report=lambda progress: tell({"progress": _told(progress)}),
        )


class _UnusableWorkerError(Exception):
    """There is no such worker here. The message says what is wrong."""


def _made(name: str) -> Any:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return make_worker(name)
    except typer.Exit:
        raise _UnusableWorkerError(said.getvalue().strip().removeprefix("error: ")) from None


def _told(progress: ReplayProgress) -> DeskMessage:
    told: DeskMessage = msgspec.to_builtins(progress)
    return told
