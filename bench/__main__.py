"""`make bench`, `make soak`, or `python -m bench COMMAND --help`."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from bench import back, gate, instructions, profiles, report, tls
from bench import first as firsts
from bench import outage as outages
from bench import scaling as scalings
from bench import soak as soaking
from bench.check import CheckError
from bench.kafkas import KAFKAS, real_kafka
from bench.load.requests import MIXES
from bench.report import NotForPublicationError
from bench.rows import BRIDGE, FLOOR, ROWS
from bench.toolchains import BuildError
from bench.turns import Plan, Result, take_turns
from tests.support.broker import NoBrokerError

app = typer.Typer(add_completion=False, no_args_is_help=True)
console = Console(width=150)
OUT = Path(__file__).parents[1] / ".cache" / "bench"


@app.command()
def turns(  # noqa: PLR0917
    rounds: Annotated[int, typer.Option(help="How often each server has its turns.")] = 6,
    seconds: Annotated[float, typer.Option(help="How long a turn lasts.")] = 1.0,
    open_seconds: Annotated[float, typer.Option(help="How long a turn at a steady rate lasts.")] = 5.0,
    mix: Annotated[str, typer.Option(help=f"What is sent: {', '.join(MIXES)}.")] = "recalls",
    only: Annotated[
        list[str] | None, typer.Option(help="Beside the floor, only rows whose name contains this.")
    ] = None,
    broker: Annotated[str, typer.Option(help="`real` or `embedded`.")] = "real",
    out: Annotated[Path, typer.Option(help="Folder for turns.json and turns.svg.")] = OUT,
    publish: Annotated[bool, typer.Option("--publish", help="Put table and chart into docs/performance.md.")] = False,
) -> None:
    """The bridge beside no-op handlers, servers in Go and Rust, and naive ones, in short turns."""
    plan = Plan(rounds, seconds, open_seconds, mix, only or [])
    with tempfile.TemporaryDirectory(prefix="im-bridge-bench-") as folder, KAFKAS[broker](Path(folder)) as kafka:
        result = take_turns(Path(folder), kafka, plan, console.print)
    report.write(result, out, "turns")
    report.show(result, console)
    console.print(f"written: {out}/turns.json and .svg")
    if publish:
        report.publish(result)
        console.print("written: docs/performance.md and its chart")


@app.command()
def scaling(
    rounds: Annotated[int, typer.Option(help="How often each is measured.")] = 6,
    seconds: Annotated[float, typer.Option(help="How long each time.")] = 4.0,
    out: Annotated[Path, typer.Option(help="Folder for scaling.json.")] = OUT,
) -> None:
    """What one, two and four processes manage, a quarter of a core for each, beside what a whole core does."""
    with tempfile.TemporaryDirectory(prefix="im-bridge-bench-") as folder, real_kafka(Path(folder)) as kafka:
        found = scalings.scale(Path(folder), kafka, rounds=rounds, seconds=seconds, say=console.print)
    out.mkdir(parents=True, exist_ok=True)
    (out / "scaling.json").write_bytes(msgspec.json.encode(found))
    console.print(f"A core that one process keeps busy takes {found.per_core:,.0f} callbacks/s.")
    for processes in found.quarters:
        ratios = found.ratios(processes)
        console.print(
            f"{processes} with a quarter each: {statistics.median(ratios):.2f} x what one does "
            f"({min(ratios):.2f}-{max(ratios):.2f}); by CPU time {found.error(processes):+.0%}"
        )
    console.print(f"{found.disturbed} of {len(found.measurements)} measurements were disturbed")


@app.command()
def first(
    starts: Annotated[int, typer.Option(help="How often the bridge is started.")] = 5,
    idle: Annotated[float, typer.Option(help="How many seconds nothing comes, before the last is timed.")] = 61.0,
) -> None:
    """The first callback after a start, and after a pause, beside the usual one."""
    with tempfile.TemporaryDirectory(prefix="im-bridge-bench-") as folder, real_kafka(Path(folder)) as kafka:
        found = firsts.measure(Path(folder), kafka, starts=starts, idle_s=idle, say=console.print)
    table = Table("ms to the reply", "median", "least", "most")
    for name, *numbers in found.rows():
        table.add_row(name, *(f"{number:.1f}" for number in numbers))
    console.print(table)


@app.command(name="tls")
def cost_of_tls(
    turns: Annotated[int, typer.Option(help="How often each has its turn.")] = 6,
    rounds: Annotated[int, typer.Option(help="How many callbacks each of the connections brings in a turn.")] = 60,
) -> None:
    """What TLS costs: CPU of the bridge per callback on kept connections, and per connection."""
    with tempfile.TemporaryDirectory(prefix="im-bridge-bench-") as folder, real_kafka(Path(folder)) as kafka:
        found = tls.measure(Path(folder), kafka, turns=turns, rounds=rounds)
    table = Table("µs of CPU, medians", "per callback", "per connection with one callback")
    for way, cost in found.items():
        table.add_row(way, f"{cost.per_callback_us:.1f}", f"{cost.per_connection_us:.0f}")
    console.print(table)


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(help="How long.")] = 60.0,
    rate: Annotated[float, typer.Option(help="Callbacks per second.")] = 1000.0,
    every: Annotated[float, typer.Option(help="Seconds from one outage of the broker to the next.")] = 300.0,
    out: Annotated[Path, typer.Option(help="Folder for soak.json and soak.png.")] = OUT,
) -> None:
    """A long run with outages: memory, open files, threads and journal must not grow."""
    with tempfile.TemporaryDirectory(prefix="im-bridge-soak-") as folder:
        soaked = soaking.soak(Path(folder), minutes=minutes, rate=rate, every=every, say=console.print)
    out.mkdir(parents=True, exist_ok=True)
    (out / "soak.json").write_bytes(msgspec.json.encode(soaked))
    most = max(sample.memory.total for sample in soaked.samples)
    last = soaked.samples[-1]
    console.print(
        f"{soaked.load['scheduled']:,} callbacks, {soaked.restarts} restarts of the broker, at most "
        f"{most / 1e6:.0f} MB; slowest reply {soaked.load['p100']:.3f} s; "
        f"written: {out / 'soak.json'}, {out / 'soak.png'}"
    )
    console.print(
        f"at the end {last.files} open files, {last.threads} threads, {len(last.journals)} files of the journal with "
        f"{last.disk_bytes / 1e6:.0f} MB, of which {last.log_bytes / 1e6:.0f} are write-ahead logs and "
        f"{last.free_bytes / 1e6:.0f} free"
    )
    console.print(soaked.memory_verdict)
    soaking.chart(soaked, out / "soak.png")
    for problem in soaked.problems:
        console.print(problem, style="bold red")
    if soaked.problems:
        raise typer.Exit(1)
    console.print(
        "Nothing grew, as much arrived as was acknowledged, the audit proves it, the journal is empty.",
        style="bold green",
    )


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


@app.command(name="back")
def back_after_kill(
    kills: Annotated[int, typer.Option(help="How often the process is killed.")] = 20,
    out: Annotated[Path, typer.Option(help="Folder for back.json.")] = OUT,
) -> None:
    """Back after kill -9: how soon callbacks are accepted again, under load."""
    with tempfile.TemporaryDirectory(prefix="im-bridge-back-") as folder:
        found = back.measure(Path(folder), kills=kills, say=console.print)
    out.mkdir(parents=True, exist_ok=True)
    (out / "back.json").write_bytes(msgspec.json.encode(found))
    console.print(
        f"accepting again {found.median_s * 1000:.0f} ms after kill -9 (median of {len(found.seconds)}, "
        f"at most {found.seconds[-1] * 1000:.0f} ms)"
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
    update: Annotated[bool, typer.Option("--update", help="Store what is counted in bench/instructions.json.")] = False,
) -> None:
    """Instructions per callback, by callgrind; fails where they are more than the repository says."""
    with tempfile.TemporaryDirectory(prefix="im-bridge-bench-") as folder:
        found = instructions.count([row for row in ROWS if row.name in {FLOOR, BRIDGE}], Path(folder))
        mine = gate.counted(found)
        if update:
            gate.store(mine)
        verdicts = gate.compare(mine, gate.load())
        for verdict in verdicts:
            console.print(verdict.text, style="bold red" if verdict.has_failed else None)
        if any(verdict.has_failed for verdict in verdicts):
            console.print(gate.profile(found[BRIDGE][instructions.CONNECTIONS[0]]), soft_wrap=True, markup=False)
            raise SystemExit(
                f"bench: more than {gate.TOLERANCE:.0%} above. Where the profile has grown is what to mend; "
                "where it is worth it, store the new number: make instructions ARGS=--update"
            )
    if any(verdict.is_progress for verdict in verdicts):
        console.print("That is less than before. Keep it: make instructions ARGS=--update", style="bold green")


@app.command()
def table(file: Annotated[Path, typer.Argument(help="A turns.json.")]) -> None:
    """Print the table of an earlier run as Markdown."""
    result = msgspec.json.decode(file.read_bytes(), type=Result)
    print(report.title(result), report.verdict(result), report.markdown(result), sep="\n\n")  # noqa: T201


def main() -> None:
    """Run the command; what a person can mend is told in one line."""
    try:
        app()
    except (BuildError, CheckError, NoBrokerError, NotForPublicationError) as error:
        raise SystemExit(f"bench: {error}") from None


if __name__ == "__main__":
    main()
