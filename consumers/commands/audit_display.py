"""Shows the ledger of the audit, or what the topics have of a time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NoReturn

import msgspec
import typer

from common.program import command_line
from common.terminal import Output
from common.text import duration, plural, printable
from consumers.audit.ledger import AuditLedger
from consumers.audit.stored_ledger import FoundLedgers, find_ledgers
from consumers.audit.stream import StreamCount
from consumers.audit.summary import AuditReport, GapReport, GoneReport, LifeReport, summarize
from consumers.audit.window import WindowReport, audit_window
from consumers.commands.execution import fail, quiet_settings, run_to_end
from consumers.settings import ConsumersSettings

LOST, NOT_PROVEN = 1, 3
"""Status with which the command ends."""
SHOWN_GAPS = 50
SHOWN_LIVES = 50
STALE_AFTER_S = 60.0
STALE_AFTER_CHECKPOINTS = 3


def show_ledger(*, as_json: bool) -> NoReturn:
    """Print what the ledger says.

    Raises:
        typer.Exit: always, with the status that `consumers audit` tells.
    """
    settings = quiet_settings()
    found = run_to_end(find_ledgers(settings.kafka_client(), settings.audit_topic))
    ledger = found_ledger(found, settings)
    report = summarize(ledger, ledger.time_ms)
    stale_s = time.time() - ledger.time_ms / 1000
    is_stale = stale_s > max(STALE_AFTER_S, STALE_AFTER_CHECKPOINTS * settings.audit_checkpoint_s)
    output = Output()
    if as_json:
        told = {**msgspec.to_builtins(report), "auditor_away_s": round(stale_s, 1) if is_stale else 0}
        output.json(msgspec.json.encode(told).decode())
    else:
        _show(report, output)
        if is_stale:
            output.remark(
                f"this is of {duration(stale_s)} ago: nobody has written the ledger since. Is"
                f" `{command_line('consumers')} run audit` running?"
            )
    if not report.is_lossless:
        raise typer.Exit(LOST)
    raise typer.Exit(0 if report.is_proven and not is_stale else NOT_PROVEN)


def show_window(from_ms: int, to_ms: int, *, as_json: bool) -> NoReturn:
    """Print what the topics have of a time.

    Raises:
        typer.Exit: always, with the status that `consumers audit` tells.
    """
    settings = quiet_settings()
    report = run_to_end(audit_window(settings, from_ms, to_ms))
    output = Output()
    if as_json:
        output.json(msgspec.json.encode(report).decode())
    else:
        _show_window(report, output)
    if not report.is_lossless:
        raise typer.Exit(LOST)
    raise typer.Exit(0 if report.is_proven else NOT_PROVEN)


def found_ledger(found: FoundLedgers, settings: ConsumersSettings) -> AuditLedger:
    """The ledger that counts.

    Raises:
        typer.Exit: there is none.
    """
    if found.latest is None and found.unreadable:
        fail(f"the ledger on {settings.audit_topic} cannot be read: {found.unreadable}", status=NOT_PROVEN)
    if found.latest is None:
        fail(
            f"there is no ledger on the topic {settings.audit_topic}: start `{command_line('consumers')} run audit`, or"
            " see CONSUMERS_AUDIT_TOPIC",
            status=NOT_PROVEN,
        )
    return found.latest


def _show(report: AuditReport, output: Output) -> None:
    counts = report.counts
    until = f"complete until {shown_time(report.complete_until)}" if report.complete_until else "nothing is stated yet"
    output.line(
        f"{counts.acknowledged:,} acknowledged, {counts.missing:,} missing, {until}",
        "green" if report.is_lossless and report.is_proven else "red" if not report.is_lossless else "yellow",
    )
    for line in _details(counts):
        output.line(f"  {line}")
    output.line(f"  as of {shown_time(report.time)}, audited since {shown_time(report.begun)}")
    if report.unreadable:
        output.line(
            f"  {report.unreadable:,} statements that this version cannot read: of a newer one, or of somebody else",
            "yellow",
        )
    if report.unnumbered:
        output.line(f"  {report.unnumbered:,} records without a number: of older versions or of others, not audited")
    _show_lives(report, output)
    _show_gaps(report.gaps, report.gone, output, has_more=report.more_gaps)


def _details(counts: StreamCount) -> list[str]:
    words = {
        "arrived": "arrived",
        "waiting": "waiting: in a journal, or on their way",
        "unproven": "unproven: a power cut took the books of whether they were acknowledged",
        "expired": "expired: retention took them before they were read",
        "set_aside": "set aside: Kafka refuses them, they are in quarantine",
        "forgotten": "forgotten: of a process that was given up",
        "duplicates": "duplicates: came again, under the same number",
        "never_durable": "never acknowledged: a process died before it answered",
        "before": "from before the audit",
    }
    return [f"{getattr(counts, name):,} {text}" for name, text in words.items() if getattr(counts, name)]


def _show_lives(report: AuditReport, output: Output) -> None:
    order = {"silent": 0, "living": 1, "not stated": 2}
    lives = sorted(report.lives, key=lambda one: (order.get(one.state, 3), one.process, -one.epoch))
    if lives:
        output.line("processes")
    for life in lives[:SHOWN_LIVES]:
        output.line(f"  {_life(life)}", "red" if life.counts.missing or life.state == "silent" else "")
    if len(lives) > SHOWN_LIVES or report.retired_lives:
        output.line(f"  and {plural(len(lives[SHOWN_LIVES:]) + report.retired_lives, 'life', 'lives')} more")
    for name in report.silent:
        process = name.partition("/")[0]
        output.remark(
            f"{name} states nothing any more, and nobody has stated its end: start an ingress on its folder, or, if its"
            f" disk is gone, `{command_line('consumers')} audit forget {process}`"
        )


def _life(life: LifeReport) -> str:
    counts = life.counts
    words = [f"{counts.acknowledged:,} acknowledged"]
    words += [
        f"{getattr(counts, name):,} {name.replace('_', ' ')}"
        for name in ("missing", "waiting", "unproven", "expired", "set_aside", "forgotten", "duplicates")
        if getattr(counts, name)
    ]
    where = f" on {printable(life.host)}, process {life.pid}" if life.host else ""
    stated = f", last stated {shown_time(life.stated)}" if life.stated and not life.is_settled else ""
    return f"{life.process}/{life.epoch}  {life.state}{where}{stated}: {', '.join(words)}"


def _show_gaps(gaps: Sequence[GapReport], gone: Sequence[GoneReport], output: Output, *, has_more: bool) -> None:
    if gaps:
        output.line("gaps")
    for gap in gaps[:SHOWN_GAPS]:
        output.line(f"  {_gap(gap)}", "red" if gap.kind == "missing" else "yellow")
    if has_more or len(gaps) > SHOWN_GAPS:
        output.line("  and more: see --json")
    if gone:
        output.line("gone from the logs before their time")
    for one in gone:
        read = "which had arrived" if one.was_read else "before they were read"
        output.line(
            f"  {one.topic} partition {one.partition}, offsets {one.first_offset:,} to {one.last_offset:,}, {read}; "
            f"{_between(one.after, one.before)}, noticed {shown_time(one.noticed)}",
            "red",
        )


def _gap(gap: GapReport) -> str:
    is_sum = gap.count != gap.last - gap.first + 1
    numbers = f"{gap.first:,}" if gap.first == gap.last else f"{gap.first:,} to {gap.last:,}"
    number = "number" if gap.first == gap.last else "numbers"
    which = f"{gap.count:,} of the {number}" if is_sum else number
    kind = gap.kind.replace("_", " ")
    return f"{kind}  {gap.process}/{gap.epoch} {gap.topic}, {which} {numbers}, {_between(gap.after, gap.before)}"


def _between(after: str | None, before: str | None) -> str:
    if after and before:
        return f"received between {shown_time(after)} and {shown_time(before)}"
    if after:
        return f"received after {shown_time(after)}"
    return f"received before {shown_time(before)}" if before else "when they were received is not known"


def _show_window(report: WindowReport, output: Output) -> None:
    output.line(
        f"{report.arrived:,} arrived, {report.missing:,} missing, of what was received from"
        f" {shown_time(report.since)} to {shown_time(report.until)}",
        "green" if report.is_lossless and report.is_proven else "red" if not report.is_lossless else "yellow",
    )
    if report.begins:
        output.line(
            f"  the topics begin at {shown_time(report.begins)}, in one partition at least: retention may have taken"
            " what was received before, and it is not counted here",
            "yellow",
        )
    for name in ("duplicates", "unproven", "expired", "waiting"):
        if getattr(report, name):
            output.line(f"  {getattr(report, name):,} {name}")
    _show_gaps(report.gaps, report.gone, output, has_more=report.more_gaps)
    for name in report.silent:
        output.remark(
            f"{name} has stated nothing of the end of that time, and nobody has stated its end: what it took since its"
            f" last statement is not known. See `{command_line('consumers')} audit`"
        )


def shown_time(text: str | None) -> str:
    """A time of RFC 3339 in UTC, for people."""
    return "never" if text is None else f"{text[:23].replace('T', ' ').removesuffix('.000')} UTC"
