"""States on a topic, now and then, what this process knows of the records that it took.

It is done as well as can be: nothing here refuses, delays or fails a callback, a start or a stop. While Kafka takes no
statement, or the topic is not there, the next one says what this one would have. The end of a life, which nobody says
again, waits in the ledger until Kafka has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from bridge import metrics
from bridge.audit.ends import Ends, marks_without_ledger
from bridge.audit.folder import FOLDER, read_folder_id
from bridge.audit.ledger import Claim, Refused, claim, claim_late, random_life, take_ends
from bridge.audit.marks import LifeMarks
from bridge.audit.restoring import restore
from bridge.audit.statement_producer import NotStatedError, StatementProducer
from bridge.audit.strays import remove_strays
from bridge.journal.files import LeftByOthers
from bridge.journal.numbering import Counters, Numbering, SetAsideNumbers, ring_size
from bridge.journal.writer import FileThread
from bridge.settings import BridgeSettings
from common.audit.header import Life
from common.audit.statement import Previous, Statement, TopicStatement
from common.logs import Throttle, fields
from common.topic import Topic

log = logging.getLogger(__name__)

BEGIN_S = 2.0
"""How long the disk may take for the ledger at a start; then the process begins without, and tries again."""
CLAIM_AGAIN_S = 5.0
KEEP_INTERVAL_S = 0.25
"""Between two looks at how far the numbers are. What a ledger says after the end of its machine is so old at most."""
REPORT_INTERVAL_S = 3600.0
STATEMENTS_AT_ONCE = 500
END_SHARE = 0.5
"""Of the time for a stop, what the disk may take; the rest is Kafka's."""


class NumberedJournal(Protocol):
    """What is asked of the journal: see `bridge.journal.journal.Journal`."""

    set_aside_numbers: SetAsideNumbers

    def confirmed_through(self, topic: str) -> int:
        """Kafka has confirmed all records of this process up to this number, or they were set aside."""

    @property
    def left_by_others(self) -> LeftByOthers:
        """How it stands with what others have left in the folder."""


class Stating:
    """The life of this process, as it states it.

    Its fields are many because some are there in every statement, and because the ledger may be missing.

    Args:
        settings: topics, interval, connection.
        topic: of the statements.
        journal_dir: the folder of the journals.
        refused: gives the records of it that Kafka refuses for good.
    """

    def __init__(self, settings: BridgeSettings, topic: Topic, journal_dir: Path, refused: Refused) -> None:
        self._settings = settings
        self._journal_dir = journal_dir
        self._refused = refused
        self._producer = StatementProducer(settings.kafka_client, topic)
        self._thread = FileThread(asyncio.get_running_loop(), "audit")
        self._started_ms = _now_ms()
        self._host, self._version = socket.gethostname(), version("im-bridge")
        self._claim: Claim | None = None
        self._late: Claim | None = None
        """Made after the start: the thread, which makes it, knows it also where a stop comes before the loop hears."""
        self._life = random_life()
        self._folder = self._life.process
        """Id of the folder; while it is not known one that no other process has."""
        self._marks: LifeMarks | None = None
        self._numbering: Numbering = {}
        self._previous: Previous | None = None
        self._ends: Ends = {}
        self._journal: NumberedJournal | None = None
        self._ends_changing = asyncio.Lock()
        self._kept: dict[str, Counters] = {}
        self._is_heard = False
        """Whether Kafka has confirmed the last statement."""
        self._throttle = Throttle(REPORT_INTERVAL_S)
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    def from_settings(cls, settings: BridgeSettings, journal_dir: Path, refused: Refused) -> Stating | None:
        """What the settings describe; None: nothing is stated."""
        topic = settings.audited_by
        return cls(settings, topic, journal_dir, refused) if topic else None

    @property
    def life(self) -> Life:
        """That began with `begin`."""
        return self._life

    async def begin(self) -> Numbering:
        """Begin a life. Gives what numbers its records: to be used from the first record on."""
        topics = (self._settings.topic, self._settings.dlq_topic)
        size = ring_size(self._settings.memory_max_bytes)
        self._thread.start()
        template = self._statement(dict.fromkeys(topics, TopicStatement(given=0)))
        claiming = asyncio.ensure_future(
            self._thread.call(partial(claim, self._journal_dir, template, size, self._refused))
        )
        try:
            async with asyncio.timeout(BEGIN_S):
                found = await asyncio.shield(claiming)
        except (OSError, TimeoutError) as error:
            claiming.add_done_callback(_give_back)
            self._marks = marks_without_ledger(self._journal_dir, self._life, topics, size)
            reason = str(error) or f"no answer within {BEGIN_S:g} s"
            log.warning(
                "no ledger can be kept in %s (%s): should this process and its machine end before one can, nobody can"
                " say what it acknowledged last. It is tried again every %g s",
                *(self._journal_dir, reason, CLAIM_AGAIN_S),
                extra=fields("audit_ledger_missing", folder=str(self._journal_dir), reason=reason),
            )
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                self._folder = read_folder_id(self._journal_dir / FOLDER) or self._folder
        else:
            self._claim, self._marks, self._folder = found, found.marks, found.folder
            self._life, self._previous, self._ends = found.life, found.previous, found.ends
        self._show_exactness()
        self._numbering = self._marks.numbering()
        return self._numbering

    def start(self, journal: NumberedJournal) -> None:
        """State from now on what is known of the records of a journal."""
        self._journal = journal
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(work()) for work in (self._keep, self._state, self._look)]

    async def stop(self, within_s: float, *, is_last: bool = False) -> None:
        """State the end of this life, where the disk and Kafka let us in time. The journal has given its files back.

        Args:
            within_s: for all of it.
            is_last: whether nobody comes after us who could state it, so that it is tried though Kafka was away.
        """
        if self._journal is None:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        end = self._now("stopped")
        self._ends[end.life.name] = end
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(within_s * END_SHARE):
                self._ends = await self._thread.call(partial(self._write_end, end, self._ends))
        with contextlib.suppress(TimeoutError, NotStatedError):
            async with asyncio.timeout(within_s * (1 - END_SHARE)):
                # Where Kafka did not take the last one, it will not take this, which whoever comes next states.
                if self._is_heard or is_last:
                    await self._state_ends()
        await self._producer.close()
        if (held := self._claim or self._late) is not None:
            self._thread.run_in_steps(_closed(held))
        elif self._marks is not None and end.life.name not in self._ends:
            self._marks.remove()
        self._thread.stop()

    # -- Statements ----------------------------------------------------------------------------------------------------

    def _now(self, ended: Literal["", "stopped"] = "") -> Statement:
        """What is true now."""
        assert self._journal is not None
        set_aside = self._journal.set_aside_numbers
        looks, taken_over = self._journal.left_by_others
        topics = {}
        for topic, numbers in self._numbering.items():
            given, durable_through = numbers.count()
            undecided = numbers.ring.undecided() if ended else None
            is_exact = not set_aside.is_full and (undecided is None or undecided.is_exact)
            topics[topic] = TopicStatement(
                given=given,
                confirmed_through=self._journal.confirmed_through(topic),
                durable_through=durable_through,
                never_durable=undecided.never_durable if undecided and is_exact else [],
                is_exact=is_exact,
            )
        return msgspec.structs.replace(
            self._statement(topics),
            ended=ended,
            looks=looks,
            taken_over=taken_over,
            set_aside=set_aside.by_life,
        )

    def _statement(self, topics: dict[str, TopicStatement]) -> Statement:
        return Statement(
            process=self._life.process,
            epoch=self._life.epoch,
            folder=self._folder,
            host=self._host,
            pid=os.getpid(),
            version=self._version,
            started_ms=self._started_ms,
            time_ms=_now_ms(),
            interval_s=self._settings.audit_interval_s,
            topics=topics,
            previous=self._previous,
        )

    async def _state(self) -> None:
        while True:
            try:
                await self._state_ends()
                await self._write([self._now()])
            except NotStatedError as error:
                self._is_heard = False
                self._report(error)
            except Exception:
                log.exception("nothing could be stated for the audit; it is tried again")
            await asyncio.sleep(self._settings.audit_interval_s)

    async def _state_ends(self) -> None:
        """State the ends of lives that are to be stated, and forget them.

        Raises:
            NotStatedError: Kafka has not confirmed them.
        """
        while some := list(self._ends.values())[:STATEMENTS_AT_ONCE]:
            await self._write(some)
            for statement in some:
                if self._ends.get(statement.life.name) == statement:
                    del self._ends[statement.life.name]
            if self._claim is not None:
                async with self._ends_changing:
                    with contextlib.suppress(OSError):  # They are stated again.
                        await self._thread.call(partial(self._claim.ledger.write_ends, dict(self._ends)))

    async def _write(self, statements: Iterable[Statement]) -> None:
        try:
            await self._producer.write(statements)
        except NotStatedError:
            metrics.AUDIT_STATEMENTS.labels("failed").inc()
            raise
        metrics.AUDIT_STATEMENTS.labels("confirmed").inc()
        self._is_heard = True

    def _report(self, error: NotStatedError) -> None:
        if self._throttle.admits(str(error)):
            log.warning(
                "nothing can be stated for the audit: %s. All else is done as ever, and it is tried again. Without an"
                " audit, set BRIDGE_AUDIT=off",
                error,
                extra=fields("audit_not_stated", reason=str(error)),
            )

    # -- The ledger ----------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Keep in the ledger how far the numbers are, and see that the rings of marks are not overrun."""
        while True:
            await asyncio.sleep(KEEP_INTERVAL_S)
            counted = {topic: numbers.count() for topic, numbers in self._numbering.items()}
            if counted == self._kept or self._claim is None:
                continue
            self._kept = counted
            await self._write_ledger(self._claim)

    async def _write_ledger(self, held: Claim) -> None:
        try:
            folder = await self._thread.call(partial(_write_ledger, held, self._now(), dict(self._ends)))
            self._claim, self._folder = held._replace(folder=folder), folder
        except OSError as error:
            if self._throttle.admits(f"ledger: {error}"):
                log.warning(
                    "the ledger %s cannot be written (%s); it is tried again",
                    held.ledger.path,
                    error,
                    extra=fields("audit_ledger_missing", folder=str(self._journal_dir), reason=str(error)),
                )

    async def _look(self) -> None:
        """Look now and then for lives that have ended, and that nobody else states."""
        await self._thread.call(remove_strays)
        interval_s = self._settings.adopt_interval_s
        while True:
            await asyncio.sleep(min(interval_s, CLAIM_AGAIN_S) if self._claim is None else interval_s)
            if self._claim is None:
                await self._claim_late()
            if self._claim is None:
                continue
            self._claim.marks.touch()
            await self._write_ledger(self._claim)
            look = partial(take_ends, self._claim.ledger, self._claim.folder, self._refused, self._now())
            async with self._ends_changing:
                with contextlib.suppress(OSError):
                    self._ends = await self._thread.call(look) | self._ends

    async def _claim_late(self) -> None:
        """Begin to keep a ledger, if the disk takes one by now."""
        if self._marks is None:
            return
        try:
            found = await self._thread.call(partial(self._claim_in_thread, self._now(), self._marks))
        except OSError:
            return
        self._claim, self._folder = found, found.folder
        self._show_exactness()
        log.info("a ledger is kept in %s by now", self._journal_dir, extra=fields("audit_ledger_kept"))

    def _claim_in_thread(self, statement: Statement, marks: LifeMarks) -> Claim:
        self._late = claim_late(self._journal_dir, statement, marks)
        return self._late

    def _show_exactness(self) -> None:
        metrics.AUDIT_EXACT.set(self._claim is not None and self._claim.marks.path is not None)

    def _write_end(self, end: Statement, ends: Ends) -> Ends:
        """Keep what is to be stated, with what was found when we were told to stop. In the thread."""
        held = self._claim or self._late
        if held is None:
            return ends
        ends = held.ledger.read_ends() | ends
        held.ledger.write_ends(ends)
        held.ledger.write_end(end)
        held.marks.remove()
        return ends


def _write_ledger(held: Claim, statement: Statement, ends: Ends) -> str:
    """Write it, in its place again if it was removed; the id of the folder. In the thread."""
    folder = restore(held, statement, ends)
    held.ledger.write(statement)
    return folder


def _give_back(claiming: asyncio.Future[Claim]) -> None:
    """Give a ledger back that the disk gave us when nobody waited for it any more."""
    if not claiming.cancelled() and claiming.exception() is None:
        claiming.result().ledger.close()
        claiming.result().marks.remove()


def _closed(claim: Claim) -> Iterator[None]:
    claim.ledger.close()
    yield


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
