"""The loop of every command that works on dead letters: one after the other, at a rate, noting what became of each.

`bridge dlq replay`, `consumers dlq replay` and `consumers dlq drop` differ only in what they do with a letter. Where no
letter is meant that there is, they say so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from common.dead_letter_filter import DeadLetterFilter
from common.kafka.clients import ClientArguments
from common.kafka.dead_letters import DeadLetter, open_letters
from common.program import command_line

MAX_SHOWN_FAILURES = 100


class NotReplayableError(Exception):
    """A dead letter cannot be dealt with and stays where it is. The message says why."""


class LetterMissingError(Exception):
    """There is no open letter of the name that was given. The message says why."""


@dataclass
class ReplayProgress:
    """How far a command on dead letters is."""

    total: int = 0
    """Records on the dead-letter topic when it began."""
    read: int = 0
    """How many of those were read."""
    done: int = 0
    """Letters that were dealt with."""
    failures: int = 0
    """Letters that stay."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """Name of a letter and why it stays; the first MAX_SHOWN_FAILURES."""
    left_out: int = 0
    """Letters that would be meant, and are left out unless they are asked for."""
    unfit: int = 0
    """Where none is meant: how many others are open."""
    waiting_for: str | None = None
    """What is away, while something is."""

    def add_failure(self, name: str, why: str) -> None:
        """One letter more that stays."""
        self.failures += 1
        if len(self.failed) < MAX_SHOWN_FAILURES:
            self.failed.append((name, why))


ReportReplay = Callable[[ReplayProgress], None]
"""Told after each letter, and when something is waited for."""


async def for_each_letter(
    client: ClientArguments,
    topic: str,
    chosen: DeadLetterFilter,
    handle: Callable[[DeadLetter], Awaitable[None]],
    *,
    rate: float | None,
    progress: ReplayProgress,
    report: ReportReplay,
    leaves_out: Callable[[DeadLetter], bool] = lambda _: False,
) -> None:
    """Hand each open letter that is meant to `handle`, those of a partition in their order.

    Args:
        client: arguments of every aiokafka client, from the settings.
        topic: the dead-letter topic.
        chosen: which letters are meant.
        handle: deals with a letter. If it raises NotReplayableError the letter stays, and the next one follows.
        rate: letters a second at most; None: as fast as it goes.
        progress: kept up to date.
        report: told of it.
        leaves_out: which of them are only counted.

    Raises:
        LetterMissingError: one letter is meant, and is not there.
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
        whatever else `handle` raises: the letters behind are not looked at.
    """

    def note_position(read: int, total: int) -> None:
        progress.read, progress.total = read, total
        report(progress)

    found = False
    letters = open_letters(client, topic, chosen, report=note_position)
    async with contextlib.aclosing(letters), contextlib.aclosing(_paced(letters, rate)) as paced:
        async for letter in paced:
            found = True
            if leaves_out(letter):
                progress.left_out += 1
                continue
            try:
                await handle(letter)
            except NotReplayableError as error:
                progress.add_failure(letter.name, str(error))
            else:
                progress.done += 1
            report(progress)
    if not found:
        progress.unfit = await count_others(client, topic, chosen)


async def count_others(client: ClientArguments, topic: str, chosen: DeadLetterFilter) -> int:
    """How many letters are open, for a filter that admits none of them.

    Raises:
        LetterMissingError: the filter names a letter: says what became of it.
        KafkaError, OSError, TimeoutError: Kafka cannot be read.
    """
    count = 0
    everything = DeadLetterFilter(name=chosen.name)
    async with contextlib.aclosing(
        open_letters(client, topic, everything, done_too=chosen.name is not None)
    ) as letters:
        async for letter in letters:
            if chosen.name is not None:
                raise LetterMissingError(_why_unfit(letter))
            count += 1
    if chosen.name is not None:
        raise LetterMissingError(no_such_letter(chosen.name, topic))
    return count


def no_such_letter(name: str, topic: str) -> str:
    """That there is no letter of this name, and what lists those that there are."""
    return f"there is no dead letter {name} on {topic}: `{command_line('consumers')} dlq list --all` names them"


def _why_unfit(letter: DeadLetter) -> str:
    if letter.outcome is not None:
        return f"dead letter {letter.name} is done: it was {letter.outcome}"
    return (
        f"dead letter {letter.name} does not fit the other options: its group is {letter.group},"
        f" its reason {letter.reason}, its command {letter.command or 'unknown'}"
    )


async def _paced(letters: AsyncIterator[DeadLetter], rate: float | None) -> AsyncGenerator[DeadLetter, None]:
    loop = asyncio.get_running_loop()
    due = loop.time()
    async for letter in letters:
        if rate is not None:
            await asyncio.sleep(max(0.0, due - loop.time()))
            due = max(due, loop.time()) + 1 / rate
        yield letter
