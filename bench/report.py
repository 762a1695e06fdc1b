"""The table of a run: in the terminal, and as Markdown for docs/performance.md."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench import chart
from bench.neighbours import DISTURBED_CORES, is_disturbed
from bench.rows import BRIDGE, ROWS
from bench.turns import (
    CONNECTIONS,
    MAX_DISTURBED,
    RATE_PER_S,
    OpenTurn,
    Result,
    RowTurns,
    SaturatedTurn,
    ratios,
    throughputs,
)

DOCS = Path(__file__).parents[1] / "docs"
BEGINS = "<!-- of the bench: begins -->"
ENDS = "<!-- of the bench: ends -->"
CHART = "performance.svg"
LEAST_ROUNDS = 6

BOTH = " / ".join(map(str, CONNECTIONS))
COST = (
    "CPU per callback, floor = 1",
    *(f"{number} connections" for number in CONNECTIONS),
    f"x naive's throughput, {BOTH}",
    f"at {RATE_PER_S:,}/s: p50 ms",
    "p99 ms",
    "broker frozen 10 s: no good answer in 2 s",
)
DETAILS = (
    "and besides",
    f"callbacks/s, {BOTH}",
    f"its core busy, {BOTH}",
    f"at {RATE_PER_S:,}/s: CPU us per callback",
    "RSS MB",
    "broker frozen: p50 / p99 ms",
    "disturbed turns",
)


class NotForPublicationError(Exception):
    """The result is not fit for docs/performance.md; the message says why."""


def write(result: Result, folder: Path, name: str) -> None:
    """A JSON file and a chart of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
    chart.draw(result, folder / f"{name}.svg")


def show(result: Result, console: Console) -> None:
    """Print it."""
    console.print(title(result))
    for headings, cells_of in TABLES:
        table = Table(*headings)
        for name, row in result.rows.items():
            table.add_row(name, *cells_of(result, name, row))
        console.print(table)
    console.print(verdict(result), style=None if result.is_publishable else "bold red")


def title(result: Result) -> str:
    """What was measured on what."""
    return (
        f"{result.broker}, {result.rounds} rounds of turns of {result.seconds:g} s, {result.mix}; medians, and in "
        f"brackets the least and the most. {result.machine['cpu']}, {result.machine['cores']} cores, "
        f"{result.machine['system']}; {result.machine['python']}"
    )


def verdict(result: Result) -> str:
    """Whether others used the machine."""
    found = f"In {result.disturbed:.0%} of the turns other programs used more than {DISTURBED_CORES:g} cores"
    if result.is_publishable:
        return f"{found}."
    return f"{found}; {MAX_DISTURBED:.0%} are allowed. This result is not to be published: let the machine be quiet."


def _cost(result: Result, name: str, row: RowTurns) -> list[str]:
    relative = [throughputs(result, name, number) for number in CONNECTIONS]
    return [
        *(_with_spread(ratios(row, number), "{:.2f}") for number in CONNECTIONS),
        " / ".join(f"{statistics.median(values):.1f}" if values else "-" for values in relative),
        _of_open(row, lambda one: one.p50_ms),
        _of_open(row, lambda one: one.p99_ms),
        f"{row.frozen.share:.0%}" if row.frozen else "-",
    ]


def _details(result: Result, name: str, row: RowTurns) -> list[str]:
    del result, name
    marks = [one.is_disturbed for turns in row.saturated.values() for one in turns]
    marks += [is_disturbed(one.others) for one in row.open]
    return [
        _of_saturated(row, lambda one: one.per_second, "{:,.0f}"),
        _of_saturated(row, lambda one: one.busy, "{:.0%}"),
        f"{statistics.median(one.cpu_us for one in row.open):.0f}",
        f"{row.rss_bytes / 1e6:.0f}",
        f"{row.frozen.p50_ms:,.1f} / {row.frozen.p99_ms:,.1f}" if row.frozen else "-",
        f"{sum(marks)} of {len(marks)}",
    ]


TABLES: tuple[tuple[Sequence[str], Callable[[Result, str, RowTurns], list[str]]], ...] = (
    (COST, _cost),
    (DETAILS, _details),
)


def _of_saturated(row: RowTurns, pick: Callable[[SaturatedTurn], float], form: str) -> str:
    medians = [statistics.median(pick(one.turn) for one in row.saturated[number]) for number in CONNECTIONS]
    return " / ".join(form.format(value) for value in medians)


def _of_open(row: RowTurns, pick: Callable[[OpenTurn], float]) -> str:
    return _with_spread([pick(one) for one in row.open], "{:.1f}")


def _with_spread(values: Sequence[float], form: str) -> str:
    middle, least, most = (form.format(value) for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least}-{most})"


def markdown(result: Result) -> str:
    """The tables for documents."""
    return "\n\n".join(_markdown(result, headings, cells_of) for headings, cells_of in TABLES)


def _markdown(result: Result, headings: Sequence[str], cells_of: Callable[[Result, str, RowTurns], list[str]]) -> str:
    lines = [headings, ["---"] * len(headings)]
    for name, row in result.rows.items():
        cells = [name, *cells_of(result, name, row)]
        lines.append([f"**{cell}**" for cell in cells] if name == BRIDGE else cells)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def publish(result: Result, docs: Path = DOCS) -> None:
    """Put table and chart into docs/. Raises NotForPublicationError."""
    missing = [row.name for row in ROWS if row.name not in result.rows]
    if not result.is_publishable:
        raise NotForPublicationError(verdict(result))
    if missing:
        raise NotForPublicationError(f"Not to be published, for rows are missing: {'; '.join(missing)}.")
    if result.rounds < LEAST_ROUNDS:
        raise NotForPublicationError(f"Not to be published, for there are fewer than {LEAST_ROUNDS} rounds.")
    chart.draw(result, docs / CHART)
    page = docs / "performance.md"
    text = "\n\n".join((title(result) + ".", verdict(result), markdown(result), f"![{chart.TITLE}]({CHART})"))
    block = f"{BEGINS}\n\n{text}\n\n{ENDS}"
    page.write_text(re.sub(f"{BEGINS}.*{ENDS}", lambda _: block, page.read_text(), flags=re.DOTALL))
