"""Lists dead letters, and shows one whole."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import orjson

from common.dead_letter_commands import no_letter_fits
from common.dead_letter_filter import DeadLetterFilter
from common.dead_letter_replay import count_others, no_such_letter
from common.kafka.dead_letters import DeadLetter, open_letters
from common.kafka.record_time import record_time
from common.text import plural, printable, safe_output
from consumers.commands.dlq_run import run
from consumers.commands.execution import fail, quiet_settings
from consumers.runtime.dead_letters import ADDED_HEADERS
from consumers.settings import ConsumersSettings

LetterRow = dict[str, Any]
"""What `list` says of a letter."""
_COLUMNS = ("letter", "time", "state", "group", "reason", "type", "subject", "detail")


def list_letters(chosen: DeadLetterFilter, *, limit: int, done_too: bool, as_json: bool) -> None:
    """See `consumers.commands.dlq.list_letters`."""
    settings = quiet_settings()

    async def work() -> None:
        count = 0
        rows: list[LetterRow] = []
        async with contextlib.aclosing(_letters(settings, chosen, done_too=done_too)) as letters:
            async for letter in letters:
                count += 1
                if count <= limit:
                    rows.append(_row(letter))
        _print_list(rows, as_json=as_json)
        unfit = 0 if count else await count_others(settings.kafka_client(), settings.dlq_topic, chosen)
        more = f", of which {limit} are shown: raise --limit" if count > limit else ""
        told = no_letter_fits(unfit) if unfit else f"{plural(count, 'dead letter')}{more}"
        print(told, file=sys.stderr)  # noqa: T201

    run(settings, work())


def show_letter(name: str) -> None:
    """Print the letter of this name whole.

    Raises:
        typer.Exit: there is none.
    """
    settings = quiet_settings()
    chosen = DeadLetterFilter(name=name)

    async def work() -> None:
        async with contextlib.aclosing(_letters(settings, chosen, done_too=True)) as letters:
            async for found in letters:
                for header, value in found.record.headers:
                    text = f"{header}: {(value or b'').decode(errors='backslashreplace')}"
                    print(printable(text, keep_newlines=header == "traceback"))  # noqa: T201
                value = (found.record.value or b"").decode(errors="backslashreplace")
                print(f"\n{printable(value, keep_newlines=True)}")  # noqa: T201
                return
        fail(no_such_letter(name, settings.dlq_topic))

    run(settings, work())


def _letters(
    settings: ConsumersSettings, chosen: DeadLetterFilter, *, done_too: bool
) -> AsyncGenerator[DeadLetter, None]:
    return open_letters(settings.kafka_client(), settings.dlq_topic, chosen, done_too=done_too)


def _row(letter: DeadLetter) -> LetterRow:
    return {
        "letter": letter.name,
        "time": record_time(letter.record),
        "state": letter.outcome or "open",
        "group": letter.group,
        "reason": letter.reason,
        "type": letter.type or letter.command,
        "subject": letter.subject,
        "detail": letter.headers.get("detail", ""),
        **{name: value for name, value in letter.headers.items() if name in ADDED_HEADERS and name.startswith("orig")},
    }


def _print_list(rows: Sequence[LetterRow], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(_json(row))  # noqa: T201
    elif rows:
        lines = [_COLUMNS, *([printable(str(row[name])) or "-" for name in _COLUMNS] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())  # noqa: T201


def _json(row: LetterRow) -> str:
    return safe_output(orjson.dumps(row).decode())
