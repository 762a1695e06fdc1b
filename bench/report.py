"""The table, the JSON file and the chart of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from bench.cores import CORES
from bench.measure import ServerMeasurement
from bench.rows import FLOOR
from bench.run import Result, middle, ratio

HEADINGS = (
    "",
    "callbacks/s, 64 connections",
    "256 connections",
    "CPU us per callback",
    "ratio to the floor",
    "at 256",
    "server busy",
    "half load/s",
    "p50 ms",
    "p99 ms",
    "p99.9 ms",
    "RSS MB",
)


def write(result: Result, folder: Path, name: str) -> None:
    """A JSON file and a chart of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1))
    chart(result, folder / f"{name}.png")


def show(result: Result, console: Console) -> None:
    """Print it."""
    table = Table(*HEADINGS, title=f"{result.broker}, {result.rounds} rounds, medians", title_justify="left")
    for cells in cells_of(result):
        table.add_row(*cells)
    console.print(table)
    frozen = Table("broker frozen for 10 s", "sent", "no good answer within 2 s", "share")
    for name, one in result.frozen.items():
        frozen.add_row(name, f"{one.sent:,}", f"{one.unanswered:,}", f"{one.share:.1%}")
    console.print(frozen)
    if len(CORES) < 4:
        console.print("The two processes share a core with broker and load here: their row says what a callback costs.")
    if result.scaling is not None:
        console.print(f"With a quarter of a core for each process, two manage {result.scaling:.2f} x what one does.")


def cells_of(result: Result) -> list[list[str]]:
    """The rows of the table as text."""
    floor = result.rows.get(FLOOR)
    cells = []
    for name, rounds in result.rows.items():
        one = middle(rounds)
        at_64, half = one.saturation["64"], one.half
        figures = [
            f"{at_64.per_second:,.0f}",
            f"{one.saturation['256'].per_second:,.0f}",
            f"{at_64.cpu_us:.1f}",
            *(f"{_relative(rounds, floor, number):.2f}" if floor else "-" for number in ("64", "256")),
            f"{at_64.busy:.0%}",
            f"{half.rate:,.0f}",
            *(f"{value:.1f}" for value in (half.p50_ms, half.p99_ms, half.p99_9_ms)),
            f"{one.rss_bytes / 1e6:.0f}",
        ]
        cells.append([name, *figures])
    return cells


def _relative(rounds: Sequence[ServerMeasurement], floor: Sequence[ServerMeasurement], connections: str) -> float:
    return ratio(*([one.saturation[connections] for one in each] for each in (rounds, floor)))


def markdown(result: Result) -> str:
    """The table for documents."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *cells_of(result)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def chart(result: Result, path: Path) -> None:
    """CPU per callback and the replies at half load, as bars."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    names = list(result.rows)
    middles = [middle(rounds) for rounds in result.rows.values()]
    figure, (cost, replies) = pyplot.subplots(1, 2, figsize=(12, 0.7 * len(names) + 1.4), sharey=True)
    places = range(len(names))
    cost.barh(places, [one.saturation["64"].cpu_us for one in middles], color="#2a6f97")
    cost.set(yticks=places, yticklabels=names, xlabel="CPU µs per callback at saturation, 64 connections")
    cost.invert_yaxis()
    for offset, (field, label, color) in enumerate(
        [("p50_ms", "p50", "#a9d6e5"), ("p99_ms", "p99", "#61a5c2"), ("p99_9_ms", "p99.9", "#013a63")]
    ):
        where = [place + (offset - 1) * 0.27 for place in places]
        replies.barh(where, [getattr(one.half, field) for one in middles], height=0.25, label=label, color=color)
    replies.set(xscale="log", xlabel="reply at half load, ms (open loop)")
    replies.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
