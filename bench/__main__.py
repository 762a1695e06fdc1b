"""`make bench`, `make soak`, or `python -m bench COMMAND --help`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from bench import instructions, profiles, report
from bench import outage as outages
from bench import soak as soaking
from bench.kafkas import KAFKAS
from bench.measure import CONNECTIONS
from bench.rows import BRIDGE, FLOOR
from bench.run import Result, run
from bench.turns import relative, take_turns

app = typer.Typer(add_completion=False, no_args_is_help=True)
console = Console(width=150)
OUT = Path(__file__).parents[1] / ".cache" / "bench"


@app.command()
def servers(
    rounds: Annotated[int, typer.Option(help="How often each row is measured.")] = 3,
    seconds: Annotated[float, typer.Option(help="How long each measurement lasts.")] = 4.0,
    only: Annotated[list[str] | None, typer.Option(help="Only rows whose name contains this.")] = None,
    brokers: Annotated[list[str] | None, typer.Option(help="`real`, `embedded`; both if not given.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the JSON files and charts.")] = OUT,
) -> None:
    """The bridge beside a no-op handler and naive servers, on a real Kafka and on the embedded broker."""
    for name in brokers or KAFKAS:
        with tempfile.TemporaryDirectory(prefix="im-bridge-bench-") as folder, KAFKAS[name](Path(folder)) as kafka:
            console.print(f"on {kafka.name}")
            result = run(Path(folder), kafka, rounds=rounds, seconds=seconds, only=only or [], say=console.print)
        report.show(result, console)
        report.write(result, out, f"bench-{name}")
        console.print(f"written: {out}/bench-{name}.json and .png")


@app.command()
def turns(
    rounds: Annotated[int, typer.Option(help="How often each server has its turn.")] = 10,
    seconds: Annotated[float, typer.Option(help="How long a turn lasts.")] = 1.5,
    only: Annotated[
        list[str] | None, typer.Option(help="Beside the floor, only rows whose name contains this.")
    ] = None,
    broker: Annotated[str, typer.Option(help="`real` or `embedded`.")] = "real",
) -> None:
    """CPU per callback relative to the no-op handler, in short turns: for a machine that is not quiet."""
    with tempfile.TemporaryDirectory(prefix="im-bridge-bench-") as folder, KAFKAS[broker](Path(folder)) as kafka:
        found = take_turns(Path(folder), kafka, rounds=rounds, seconds=seconds, only=only or [], say=console.print)
    ratios = Table("CPU per callback, floor = 1", *(f"{number} connections" for number in CONNECTIONS))
    for name in found:
        ratios.add_row(name, *(f"{relative(found, name, number):.2f}" for number in CONNECTIONS))
    console.print(ratios)


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(help="How long.")] = 60.0,
    rate: Annotated[float, typer.Option(help="Callbacks per second.")] = 1000.0,
    restart_every: Annotated[float, typer.Option(help="Seconds between restarts of the broker.")] = 300.0,
    out: Annotated[Path, typer.Option(help="Folder for soak.json and soak.png.")] = OUT,
) -> None:
    """A long run: memory, open files and journal must not grow."""
    with tempfile.TemporaryDirectory(prefix="im-bridge-soak-") as folder:
        soaked = soaking.soak(Path(folder), minutes=minutes, rate=rate, restart_every=restart_every, say=console.print)
    out.mkdir(parents=True, exist_ok=True)
    (out / "soak.json").write_bytes(msgspec.json.encode(soaked))
    soaking.chart(soaked, out / "soak.png")
    most = max(sample.rss_bytes for sample in soaked.samples)
    console.print(
        f"{soaked.load['scheduled']:,} callbacks, {soaked.restarts} restarts of the broker, at most "
        f"{most / 1e6:.0f} MB; slowest reply {soaked.load['p100']:.3f} s; "
        f"written: {out / 'soak.json'}, {out / 'soak.png'}"
    )
    for problem in soaked.problems:
        console.print(problem, style="bold red")
    if soaked.problems:
        raise typer.Exit(1)
    console.print("Nothing grew, as much arrived as was acknowledged, the journal is empty.", style="bold green")


@app.command()
def outage(
    minutes: Annotated[float, typer.Option(help="How long the broker is frozen.")] = 10.0,
    rate: Annotated[float, typer.Option(help="Callbacks per second.")] = 2000.0,
    out: Annotated[Path, typer.Option(help="Folder for outage.json.")] = OUT,
) -> None:
    """A long outage: memory, how fast the backlog leaves, what live callbacks notice."""
    with tempfile.TemporaryDirectory(prefix="im-bridge-outage-") as folder:
        found = outages.outage(Path(folder), minutes=minutes, rate=rate, say=console.print)
    out.mkdir(parents=True, exist_ok=True)
    (out / "outage.json").write_bytes(msgspec.json.encode(found))
    console.print(
        f"{found.unanswered} callbacks without a good answer within 2 s; memory {found.rss_before / 1e6:.0f} MB before,"
        f" at most {found.rss_max / 1e6:.0f}; {found.backlog_records:,} events drained in {found.drain_s:.1f} s, "
        f"{found.drain_ratio:.1f} x the live rate; p99 {found.p99_before_ms:.1f} ms before, {found.p99_frozen_ms:.1f} "
        f"frozen, {found.p99_drain_ms:.1f} at worst while draining"
    )


@app.command()
def profile(
    row: Annotated[str, typer.Option(help="Which row of the table.")] = BRIDGE,
    seconds: Annotated[float, typer.Option(help="How long samples are taken.")] = 10.0,
) -> None:
    """Where the CPU time of a server goes."""
    with tempfile.TemporaryDirectory(prefix="im-bridge-bench-") as folder:
        stacks = profiles.record(Path(folder), row, seconds)
    total = sum(count for _, count in stacks)
    for title, counter in (("with callees", profiles.whole_time(stacks)), ("own", profiles.own_time(stacks))):
        found = Table("share", title, title_justify="left")
        for name, count in counter.most_common(60):
            found.add_row(f"{count / total:.1%}", name)
        console.print(found)


@app.command(name="instructions")
def count_instructions(
    only: Annotated[list[str] | None, typer.Option(help="Only rows whose name contains this.")] = None,
    seconds: Annotated[float, typer.Option(help="How long each server is loaded.")] = 20.0,
) -> None:
    """Instructions per callback, counted by callgrind."""
    with tempfile.TemporaryDirectory(prefix="im-bridge-bench-") as folder:
        found = instructions.count(Path(folder), only or [""], seconds)
    counts = Table("", "instructions per callback", "ratio to the floor")
    for name, number in found.items():
        counts.add_row(name, f"{number:,.0f}", f"{number / found[FLOOR]:.2f}" if FLOOR in found else "-")
    console.print(counts)


@app.command()
def table(file: Annotated[Path, typer.Argument(help="A bench.json.")]) -> None:
    """Print the table of an earlier run as Markdown."""
    print(report.markdown(msgspec.json.decode(file.read_bytes(), type=Result)))  # noqa: T201


if __name__ == "__main__":
    app()
