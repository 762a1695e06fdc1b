"""LetterWork on dead letters that goes on while the browser looks at how far it is."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from bridge.commands.dlq_replay import replay as replay_of_ingress
from bridge.console.desk import DeskClient, DeskError
from bridge.contract.json_schema import Json
from bridge.settings import DeveloperSettings
from common.dead_letter_commands import unusable
from common.dead_letter_filter import INGRESS, DeadLetterFilter
from common.dead_letter_replay import LetterMissingError
from common.kafka.topics import TopicsMissingError

MOST_REMEMBERED = 50
MOST_RUNNING = 2
LetterWork = Callable[[Callable[[Any], None]], Awaitable[Any]]


class BusyError(Exception):
    """Too much is going on already. The message is for people."""


class Job(msgspec.Struct):
    """A piece of work on dead letters."""

    id: str
    kind: str
    """`replay` or `drop`."""
    dry_run: bool
    running: bool = True
    progress: Json = {}
    """As common.dead_letter_replay.ReplayProgress."""
    error: str = ""


class Jobs:
    """Starts pieces of work, and remembers how they ended.

    Args:
        settings: connection and topics.
        desk: does what is of workers.
        finished: called after each that may have changed something.
    """

    def __init__(self, settings: DeveloperSettings, desk: DeskClient, finished: Callable[[], None]) -> None:
        self._settings = settings
        self._desk = desk
        self._finished = finished
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, name: str) -> Job | None:
        """The job of that id; None where there is none, or it was long ago."""
        return self._jobs.get(name)

    def replay(self, chosen: DeadLetterFilter, worker: str, *, dry_run: bool) -> Job:
        """Give letters again to who gave them up: `worker`, as `consumers run` names it, or INGRESS.

        Raises:
            BusyError: too much is going on.
        """
        if worker != INGRESS:
            request = {"do": "replay", "worker": worker, "chosen": msgspec.to_builtins(chosen), "dry_run": dry_run}
            return self._start("replay", self._asking(request), dry_run=dry_run)

        async def work(report: Callable[[Any], None]) -> Any:
            return await replay_of_ingress(self._settings, chosen, rate=None, dry_run=dry_run, report=report)

        return self._start("replay", work, dry_run=dry_run)

    def drop(self, chosen: DeadLetterFilter, *, dry_run: bool) -> Job:
        """Mark letters as done.

        Raises:
            BusyError: too much is going on.
        """
        request = {"do": "drop", "chosen": msgspec.to_builtins(chosen), "dry_run": dry_run}
        return self._start("drop", self._asking(request), dry_run=dry_run)

    async def stop(self) -> None:
        """End what is going on; what was done is marked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _asking(self, request: Json) -> LetterWork:
        async def work(report: Callable[[Any], None]) -> Any:
            # A process of its own: a worker may be of anybody's making, and may fail in any way.
            desk = DeskClient()
            try:
                return await desk.ask(request, within_s=None, show=report)
            finally:
                await desk.stop()

        return work

    def _start(self, kind: str, work: LetterWork, *, dry_run: bool) -> Job:
        if len(self._tasks) >= MOST_RUNNING:
            raise BusyError("something is being replayed or dropped already: wait until it has ended")
        job = Job(secrets.token_hex(8), kind, dry_run)
        self._jobs[job.id] = job
        while len(self._jobs) > MOST_REMEMBERED:
            self._jobs.popitem(last=False)
        task = asyncio.create_task(self._run(job, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def _run(self, job: Job, work: LetterWork) -> None:
        def report(progress: Any) -> None:
            job.progress = msgspec.to_builtins(progress)

        settings = self._settings
        try:
            report(await work(report))
        except (DeskError, LetterMissingError, TopicsMissingError) as error:
            job.error = str(error)
        except (KafkaError, OSError, TimeoutError) as error:
            job.error = unusable(error, settings.kafka_bootstrap_servers, "BRIDGE_KAFKA_BOOTSTRAP_SERVERS")
        except asyncio.CancelledError:
            job.error = "the console was ended; what was done until then is marked"
            raise
        finally:
            job.running = False
            self._finished()
