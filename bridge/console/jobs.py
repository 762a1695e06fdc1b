"""Work on dead letters that goes on while the browser looks at how far it is."""

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
from bridge.console.hiding import Hiding
from bridge.contract.json_schema import Json
from bridge.settings import DeveloperSettings
from common.dead_letter_commands import unusable
from common.dead_letter_filter import INGRESS, DeadLetterFilter
from common.dead_letter_replay import LetterMissingError
from common.kafka.topics import TopicsMissingError

MOST_REMEMBERED = 50
MOST_TRIED = 2
"""Dry runs at a time. Of what changes something there is one: no letter is to be given twice at once."""
LetterWork = Callable[[Callable[[Any], None]], Awaitable[Any]]


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


class BusyError(Exception):
    """Too much is going on already. The message is for people.

    Args:
        job: what goes on.
    """

    def __init__(self, job: Job) -> None:
        super().__init__("somebody replays or drops already: wait until that has ended, and look at what is left")
        self.job = job


class Jobs:
    """Starts pieces of work, and remembers how they ended.

    Args:
        settings: connection and topics.
        desk: does what is of workers.
        hiding: what is not shown.
        finished: called after each that may have changed something.
    """

    def __init__(
        self, settings: DeveloperSettings, desk: DeskClient, hiding: Hiding, finished: Callable[[], None]
    ) -> None:
        self._settings = settings
        self._desk = desk
        self._hiding = hiding
        self._finished = finished
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}

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
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def end(self, name: str) -> Job | None:
        """End one job, as it waits for what does not come back, perhaps; what was done is marked."""
        if task := self._tasks.get(name):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return self.find(name)

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
        running = [job for job in self._jobs.values() if job.running and job.dry_run == dry_run]
        if len(running) >= (MOST_TRIED if dry_run else 1):
            raise BusyError(running[0])
        job = Job(secrets.token_hex(8), kind, dry_run)
        self._jobs[job.id] = job
        for old in [name for name, one in self._jobs.items() if not one.running][:-MOST_REMEMBERED]:
            del self._jobs[old]
        task = self._tasks[job.id] = asyncio.create_task(self._run(job, work))
        task.add_done_callback(lambda _: self._tasks.pop(job.id))
        return job

    async def _run(self, job: Job, work: LetterWork) -> None:
        def report(progress: Any) -> None:
            job.progress = self._shown(msgspec.to_builtins(progress))

        settings = self._settings
        try:
            report(await work(report))
        except DeskError as error:
            job.error = error.shown(self._hiding)
        except (LetterMissingError, TopicsMissingError) as error:
            job.error = str(error)
        except (KafkaError, OSError, TimeoutError) as error:
            job.error = unusable(error, settings.kafka_bootstrap_servers, "BRIDGE_KAFKA_BOOTSTRAP_SERVERS")
        except asyncio.CancelledError:
            job.error = "it was ended; what was done until then is marked"
            raise
        finally:
            job.running = False
            self._finished()

    def _shown(self, progress: Json) -> Json:
        """How far it is, without what a worker said of a letter where that may quote what is hidden."""
        shown = self._hiding.shown_words
        failed = [(name, shown(why)) for name, why in progress.get("failed", ())]
        return progress | {"failed": failed, "waiting_for": shown(progress.get("waiting_for") or "") or None}
