"""What the page shows of the dead letters, read by the same code as `consumers dlq list`."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import AsyncGenerator
from dataclasses import replace

import msgspec
import orjson

from bridge.console.hiding import Hiding
from bridge.console.record_detail import RecordDetail, whole_record
from bridge.console.rows import detail_of_letter, kind_of_letter, subject_of_letter
from bridge.settings import DeveloperSettings
from common.dead_letter_filter import INGRESS, DeadLetterFilter
from common.kafka.dead_letters import DeadLetter, letter_at, open_letters
from common.kafka.reader import ReportPosition
from common.kafka.record_time import record_time

MOST_LISTED = 200
MOST_GROUPS = 200
READ_S = 60.0
MAX_DETAIL_CHARS = 300
AT_A_TIME = 2


class ListedLetter(msgspec.Struct):
    """What is listed of a letter."""

    name: str
    time: str
    state: str
    """`open`, `replayed`, `dropped`."""
    group: str
    reason: str
    what: str
    """Type of its event, else the command."""
    subject: str
    detail: str
    original: str
    """Where the record is that became the letter, as `topic-partition offset`; empty for a letter of the ingress."""


class LetterList(msgspec.Struct):
    """The letters that fit."""

    letters: list[ListedLetter]
    """The latest of each partition that are kept here, at most MOST_LISTED."""
    count: int
    groups: list[tuple[str, str, int]]
    """Group, reason and how many, the most first."""
    is_complete: bool
    """Whether the topic was read to its end in the time that there is."""


class DeadLetterView:
    """Reads the topic of the dead letters, for a few people at a time.

    Args:
        settings: connection and topic.
        hiding: what is not shown.
    """

    def __init__(self, settings: DeveloperSettings, hiding: Hiding) -> None:
        self._settings = settings
        self._hiding = hiding
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._exports = asyncio.Semaphore(AT_A_TIME)
        """Apart: an export takes as long as a browser takes to read it."""
        self._waiting: dict[tuple[DeadLetterFilter, bool], asyncio.Task[LetterList]] = {}
        """What waits for its turn."""

    async def list(self, chosen: DeadLetterFilter, *, done_too: bool) -> LetterList:
        """The letters that fit. Whoever asks for the same as somebody who waits for a turn has part in that one's.

        Raises:
            KafkaError, OSError, TimeoutError: Kafka cannot be read.
        """
        asked = (chosen, done_too)
        task = self._waiting.get(asked)
        if task is None:
            task = self._waiting[asked] = asyncio.create_task(self._list_in_turn(chosen, done_too=done_too))
            task.add_done_callback(_be_known)
        return await asyncio.shield(task)

    async def _list_in_turn(self, chosen: DeadLetterFilter, *, done_too: bool) -> LetterList:
        async with self._turns:
            del self._waiting[chosen, done_too]  # Who asks from now on wants to know what is done meanwhile.
            return await self._list(chosen, done_too=done_too)

    async def _list(self, chosen: DeadLetterFilter, *, done_too: bool) -> LetterList:
        latest: deque[ListedLetter] = deque(maxlen=MOST_LISTED)
        groups: Counter[tuple[str, str]] = Counter()
        is_complete, offsets_read = False, 0

        def report(read: int, _total: int) -> None:
            nonlocal offsets_read
            offsets_read = read

        try:
            async with asyncio.timeout(READ_S):
                async for letter in self._letters(chosen, done_too=done_too, report=report):
                    latest.append(_row(letter, self._hiding))
                    groups[letter.group, letter.reason[:100]] += 1
                is_complete = True
        except TimeoutError:
            if not offsets_read:  # That is no long topic, but a Kafka that does not answer.
                raise
        rows = sorted(latest, key=lambda row: row.time, reverse=True)
        counted = [(group, reason, count) for (group, reason), count in groups.most_common(MOST_GROUPS)]
        return LetterList(rows, sum(groups.values()), counted, is_complete)

    async def find(self, name: str) -> tuple[ListedLetter, RecordDetail] | None:
        """A letter whole; None where there is none of this name.

        Raises:
            KafkaError, OSError, TimeoutError: Kafka cannot be read.
        """
        async with self._turns, asyncio.timeout(READ_S):
            letter = await letter_at(self._settings.kafka_client(), self._settings.dlq_topic, name)
        return None if letter is None else (_row(letter, self._hiding), whole_record(letter.record, self._hiding))

    async def export(self, chosen: DeadLetterFilter, *, done_too: bool) -> AsyncGenerator[bytes, None]:
        """The letters that fit, a JSON object a line.

        Raises:
            KafkaError, OSError, TimeoutError: Kafka cannot be read.
        """
        async with self._exports, contextlib.aclosing(self._letters(chosen, done_too=done_too)) as letters:
            async for letter in letters:
                whole = whole_record(letter.record, self._hiding)
                row = msgspec.to_builtins(_row(letter, self._hiding))
                yield orjson.dumps(row | {"headers": whole.headers, "key": whole.key} | _value(whole)) + b"\n"

    async def _letters(
        self, chosen: DeadLetterFilter, *, done_too: bool, report: ReportPosition = lambda _read, _total: None
    ) -> AsyncGenerator[DeadLetter, None]:
        settings, hiding = self._settings, self._hiding
        # Whether an account or a type is in what is hidden would be told by whether the letter is listed.
        account = chosen.account if hiding.is_active else None
        are_events = hiding.is_active and chosen.type is not None
        asked = replace(chosen, account=None) if account else chosen
        letters = open_letters(settings.kafka_client(), settings.dlq_topic, asked, report=report, done_too=done_too)
        async with contextlib.aclosing(letters):
            async for letter in letters:
                if are_events and letter.group == INGRESS:
                    continue
                if account is None or _is_seen_about(letter, account, hiding):
                    yield letter


def _be_known(task: asyncio.Task[LetterList]) -> None:
    """Have asyncio say nothing of a failure of which nobody wants to know any more."""
    if not task.cancelled():
        task.exception()


def _is_seen_about(letter: DeadLetter, account: str, hiding: Hiding) -> bool:
    if subject_of_letter(letter, hiding) == account:
        return True
    return letter.group == INGRESS and account.encode() in (hiding.shown_json(letter.record.value or b"") or b"")


def _value(whole: RecordDetail) -> dict[str, object]:
    if whole.base64:
        return {"value_base64": whole.base64}
    return {"value_text": whole.text} if whole.text else {"value": orjson.loads(whole.json or "null")}


def _row(letter: DeadLetter, hiding: Hiding) -> ListedLetter:
    headers = letter.headers
    topic, partition, offset = (headers.get(f"original-{name}") for name in ("topic", "partition", "offset"))
    return ListedLetter(
        name=letter.name,
        time=record_time(letter.record),
        state=letter.outcome or "open",
        group=letter.group,
        reason=letter.reason,
        what=kind_of_letter(letter, hiding),
        subject=subject_of_letter(letter, hiding)[:MAX_DETAIL_CHARS],
        detail=detail_of_letter(letter, hiding)[:MAX_DETAIL_CHARS],
        original=f"{topic}-{partition} offset {offset}" if topic is not None else "",
    )
