"""The chart that says it at a glance: what a callback costs, how long replies take, and what a frozen broker loses."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from bench.rows import BRIDGE, FLOOR
from bench.turns import CONNECTIONS, RATE_PER_S, Result, ratios

TITLE = "CPU time per callback, time until replies, and callbacks lost while the broker is frozen, by server"
OURS, OTHERS = ("#e8590c", "#f4a26b"), ("#3b82c4", "#93bde3")
"""Of 64 and of 256 connections, or p99 and p50. Seen well on white and on black."""
INK = "#123456"
"""Stands for the colour of text, which is another one in the dark: the file says which, see `STYLE`."""
STYLE = """<style>
svg { color: #1f2328; background: #ffffff; }
@media (prefers-color-scheme: dark) { svg { color: #e6edf3; background: #0d1117; } }
</style>"""


def draw(result: Result, path: Path) -> None:
    """Write an SVG file. The same result gives the same bytes."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams.update({"svg.hashsalt": "im-bridge", "font.size": 9})
    mpl.rcParams.update(dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK))
    from matplotlib import pyplot

    names = list(result.rows)
    figure, panels = pyplot.subplots(1, 3, figsize=(12, 0.52 * len(names) + 1.5), sharey=True, width_ratios=(5, 4, 2))
    for axes, fill in zip(panels, (_cost, _replies, _frozen), strict=True):
        fill(axes, result)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.patch.set_visible(False)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].get_yticklabels()[names.index(BRIDGE)].set_fontweight("bold") if BRIDGE in names else None
    panels[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(path, transparent=True, metadata={"Date": None})
    pyplot.close(figure)
    text = path.read_text().replace(INK, "currentColor")
    head, tag, rest = text.partition("<defs>")
    path.write_text(f"{head}{STYLE}\n{tag}{rest}")


def _cost(axes: Any, result: Result) -> None:
    _bars(
        axes,
        result,
        [[statistics.median(ratios(row, number)) for row in result.rows.values()] for number in CONNECTIONS],
        [f"{number} connections" for number in CONNECTIONS],
        "{:.2f}",
    )
    if FLOOR in result.rows:
        axes.axvline(1.0, color=INK, linewidth=0.8, linestyle=":")
    axes.set_title("CPU per callback, a no-op of aiohttp = 1", loc="left", fontsize=10)


def _replies(axes: Any, result: Result) -> None:
    turns = [row.open for row in result.rows.values()]
    _bars(
        axes,
        result,
        [
            [statistics.median(one.p99_ms for one in row) for row in turns],
            [statistics.median(one.p50_ms for one in row) for row in turns],
        ],
        ["p99", "p50"],
        "{:.1f}",
    )
    axes.set_title(f"reply at {RATE_PER_S:,} callbacks/s, ms", loc="left", fontsize=10)


def _frozen(axes: Any, result: Result) -> None:
    for place, (name, row) in enumerate(result.rows.items()):
        if row.frozen is not None:
            color = (OURS if name == BRIDGE else OTHERS)[0]
            axes.barh(place, row.frozen.share * 100, height=0.4, color=color)
            axes.annotate(f" {row.frozen.share:.0%}", (row.frozen.share * 100, place), va="center", color=INK)
    axes.set(xlim=(0, 135), xticks=[])
    axes.set_title("lost, broker frozen", loc="left", fontsize=10)


def _bars(axes: Any, result: Result, series: list[list[float]], labels: list[str], form: str) -> None:
    """Two bars for each row, the second one paler."""
    from matplotlib.patches import Patch

    for which, values in enumerate(series):
        for place, (name, value) in enumerate(zip(result.rows, values, strict=True)):
            where = place + (which - 0.5) * 0.38
            axes.barh(where, value, height=0.36, color=(OURS if name == BRIDGE else OTHERS)[which])
            axes.annotate(f" {form.format(value)}", (value, where), va="center", fontsize=8, color=INK)
    handles = [Patch(color=color, label=label) for color, label in zip(OTHERS, labels, strict=True)]
    axes.legend(handles=handles, frameon=False, loc="upper right")
    axes.set(xlim=(0, max(map(max, series)) * 1.15), xticks=[])
