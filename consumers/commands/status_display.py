"""What `consumers status` does: asks, and shows what was told."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import typer

from common.admin_address import admin_page
from common.program import command_line
from common.terminal import Output, printable
from common.text import duration, plural
from consumers.audit import auditor
from consumers.commands.execution import fail_for_use, quiet_settings, run_to_end
from consumers.commands.find_worker import make_worker
from consumers.commands.worker_status import READY_PATH, AskedWorker, GroupPlace, Lag, WorkerStatus, own_url, status_of
from consumers.reconcile import reconciler

SHOWN_PARTITIONS = 5
WAITS = (
    "nothing is lost: events stay on their topic for as long as that keeps them (BRIDGE_TOPIC_RETENTION_HOURS, 7 days"
    " by default). Bring back what is away: the worker goes on by itself. A restart gains nothing. Do not skip offsets"
)


def run(name: str, urls: Sequence[str], *, watch_every_s: float | None, as_json: bool) -> None:
    """Show how a worker is; for the arguments see `consumers.commands.status`.

    Raises:
        typer.Exit: with status 1 where something is not well, 2 where there is no such worker.
    """
    for url in urls:
        _check(url)
    settings = quiet_settings()
    worker = None if name in {reconciler.NAME, auditor.NAME} else make_worker(name)
    own = own_url(settings)
    asked = list(urls) or ([own] if own else [])
    while True:
        place = None if worker is None else GroupPlace(settings.group or worker.name, worker.topic(settings))
        found = run_to_end(status_of(name, place, settings, asked))
        output = Output()
        if as_json:
            output.json(msgspec.json.encode(found).decode())
        else:
            if watch_every_s is not None:
                output.clear()
            _show(found, output)
        if watch_every_s is None:
            raise typer.Exit(0 if found.well else 1)
        time.sleep(watch_every_s)


def _check(url: str) -> None:
    try:
        admin_page(url, READY_PATH)
    except ValueError as error:
        fail_for_use(str(error))


def _show(found: WorkerStatus, output: Output) -> None:
    if found.worker == auditor.NAME:
        output.line(f"worker   {found.worker}; what it has found: {command_line('consumers')} audit")
    elif found.place is None:
        output.line(f"worker   {found.worker}, which reads no topic")
    else:
        output.line(f"worker   {found.worker}, group {found.place.group}, topic {found.place.topic}")
    if found.kafka_problem:
        output.line(f"lag      not known: {printable(found.kafka_problem)}", "red")
    elif found.lag is not None:
        output.line(f"lag      {_lag(found.lag)}")
    if found.dead_letters is not None and found.place is not None:
        count = found.dead_letters.count
        more = "" if found.dead_letters.is_complete else "at least "
        latest = f", the latest at {_second(found.dead_letters.latest)} UTC" if found.dead_letters.latest else ""
        see = f": {command_line('consumers')} dlq list --group {found.place.group}" if count else ""
        output.line(f"letters  {more}{plural(count, 'open dead letter')}{latest}{see}", "yellow" if count else "")
    for process in found.processes:
        text, is_well = _process(process)
        output.line(f"process  {process.url} {printable(text)}", "" if is_well else "red")
    if found.kafka_problem or any(process.answers and not process.ready for process in found.processes):
        output.line(f"so       {WAITS}", "dim")
    if not found.processes:
        output.remark("no process was asked: CONSUMERS_ADMIN_PORT is 0. Name an admin address with --url")


def _lag(lag: Lag) -> str:
    if not lag.events:
        return "none: all events are handled"
    ago = duration(lag.oldest_s or 0)
    since = f", the oldest of {_second(lag.oldest)} UTC ({ago} ago)" if lag.oldest else ""
    behind = sorted((one for one in lag.partitions if one.events), key=lambda one: -one.events)
    named = ", ".join(f"{one.partition}: {one.events:,}" for one in behind[:SHOWN_PARTITIONS])
    more = ", …" if len(behind) > SHOWN_PARTITIONS else ""
    return f"{plural(lag.events, 'event')} not handled{since}; by partition {named}{more}"


def _process(process: AskedWorker) -> tuple[str, bool]:
    if not process.answers:
        return f"does not answer: {process.problem}", False
    detail = {name: str(value) for name, value in process.detail.items()}
    if breaker := detail.get("breaker"):
        return f"breaker {breaker}", False
    if waiting := detail.get("waiting"):
        return f"waits, nothing is lost: {waiting}", False
    if process.ready:
        others = "; ".join(f"{name}: {value}" for name, value in detail.items() if name not in _USUAL)
        return f"works{f' ({others})' if others else ''}", True
    return f"is not ready: {', '.join(f'{name} {value}' for name, value in detail.items())}", False


_USUAL = {"worker", "kafka", "group"}


def _second(time_text: str) -> str:
    """A time of RFC 3339 in UTC, for people."""
    return time_text[:19].replace("T", " ")
