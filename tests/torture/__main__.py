"""`make torture`, or `python -m tests.torture --minutes 10 --seed 7`."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.support.callbacks import PLATFORM_WAITS_S
from tests.torture.run import run
from tests.torture.verdict import DEADLINE_S, Report

console = Console()


def main(
    minutes: Annotated[float, typer.Option(help="How long faults are made.")] = 3.0,
    seed: Annotated[int | None, typer.Option(help="Decides which faults, in which order; default: at random.")] = None,
    brokers: Annotated[int, typer.Option(help="1, or 3 with min.insync.replicas=2.")] = 1,
    rate: Annotated[float, typer.Option(help="Callbacks per second.")] = 600,
    keep: Annotated[Path | None, typer.Option(help="Folder to keep all logs and data in; it must not exist.")] = None,
) -> None:
    """Hurt everything at random under load, then compare what was acknowledged with topic, audit and badges."""
    seed = random.randrange(1_000_000) if seed is None else seed
    if brokers not in {1, 3}:
        raise typer.BadParameter("1 or 3", param_hint="--brokers")
    console.print(f"seed {seed}, {minutes:g} minutes, {brokers} broker(s)", style="bold")
    with tempfile.TemporaryDirectory(prefix="im-bridge-torture-") as folder:
        report = run(
            keep or Path(folder), seed=seed, seconds=minutes * 60, brokers=brokers, rate=rate, say=console.print
        )
    show(report)
    again = f"make torture ARGS='--minutes {minutes:g} --seed {seed} --brokers {brokers}'"
    if not report.ok:
        console.print(f"FAILED. The same faults again: {again}", style="bold red")
        raise typer.Exit(1)
    console.print("Nothing lost, by both judges, nothing in disorder, every badge right.", style="bold green")


def show(report: Report) -> None:
    """Print the verdict."""
    table = Table("", "count", title=f"Verdict of seed {report.seed}", title_justify="left")
    for name, value in _rows(report):
        table.add_row(name, value)
    console.print(table)
    for complaint in report.audit.complaints:
        console.print(f"The audit: {complaint}", style="bold red", markup=False)
    recovered = Table("fault", "times", "median", "slowest", title="Seconds to recover", title_justify="left")
    for fault, seconds in sorted(report.recovered.items()):
        values = sorted(seconds)
        recovered.add_row(fault, str(len(values)), f"{values[len(values) // 2]:.2f}", f"{values[-1]:.2f}")
    console.print(recovered)
    console.print(
        "To recover: after a fault of a broker, from its end until Kafka confirms again; after any other, from its "
        "beginning until a callback is acknowledged; not counted where the next fault came before that. " + report.notes
    )


def _rows(report: Report) -> list[tuple[str, str]]:
    acknowledged = report.acknowledged
    replies = [one for one in report.sent if one.replied is not None]
    slowest = max((one.replied - one.sent for one in replies if one.replied is not None), default=0.0)
    unanswered = len(report.sent) - len(replies)
    timed_out = sum(one.timed_out for one in report.sent)
    delivery = report.delivery
    late = [one for one in report.sent if one.timed_out]
    excused = sum(report.stood_still(one.sent, one.sent + PLATFORM_WAITS_S) > 0 for one in late)
    begin, end = report.longest_gap
    pressed = None if report.standstill is None else report.standstill.pressed
    return [
        ("faults", str(len(report.done))),
        ("callbacks sent", f"{len(report.sent):,}"),
        ("acknowledged", f"{len(acknowledged):,}"),
        ("refused with 503", f"{len(replies) - len(acknowledged):,}"),
        ("no reply, for the process was dead", f"{unanswered - timed_out:,}"),
        (f"no reply within {PLATFORM_WAITS_S:g} s", f"{timed_out:,}"),
        ("… while the machine did not let the harness run", f"{excused:,}"),
        (f"reply after more than {DEADLINE_S:g} s", f"{len(report.later_than(DEADLINE_S)):,}"),
        ("slowest reply", f"{slowest:.3f} s"),
        ("longest time without an acknowledgement", f"{end - begin:.2f} s"),
        ("… of which the harness did not run", f"{report.stood_still(begin, end):.2f} s"),
        ("processes waited for a processor", "not known" if pressed is None else f"{pressed:.0%} of the time"),
        ("bytes of journals cut off by power cuts", f"{report.cut_bytes:,}"),
        ("events published twice (allowed)", f"{delivery.duplicates:,}"),
        ("journals empty after", "never" if report.drained_after is None else f"{report.drained_after:.1f} s"),
        ("badges right after", "never" if report.badges_after is None else f"{report.badges_after:.1f} s"),
        ("LOST", _bad(len(delivery.lost))),
        ("NOT PROVEN TO BE THERE by the audit", _bad(len(report.audit.complaints))),
        ("OUT OF ORDER", _bad(len(delivery.out_of_order))),
        ("UNDER TWO IDS", _bad(len(delivery.two_ids))),
        ("WRONG BADGES in Redis", _bad(len(report.wrong_in_redis))),
        ("WRONG BADGES on the topic", _bad(len(report.wrong_on_topic))),
        ("DAMAGED JOURNALS", _bad(report.damaged_journals)),
    ]


def _bad(count: int) -> str:
    return f"[bold red]{count:,}[/]" if count else "[green]0[/]"


if __name__ == "__main__":
    typer.run(main)
