"""What `bridge status` does: asks, and shows what was told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import msgspec
import typer

from bridge.commands.ingress_status import IngressStatus, SilentProcess, Total, UnansweredJournal
from bridge.commands.journal_folder import existing_folder, told_in_a_line
from bridge.commands.status_advice import advice_for
from bridge.commands.status_of_addresses import status_of_addresses
from bridge.commands.status_of_folder import status_of
from bridge.process.status import KafkaStatus, ProcessStatus
from common.program import command_line
from common.terminal import Output, printable, show_table
from common.text import byte_size, duration, plural

PROCESSES = ("process", "pid", "state", "for", "events", "oldest", "room")
"""No more than fit into 80 columns."""
REFUSALS = ("reason", "times", "last (UTC)", "reply", "app", "address")
JOURNALS = ("journal", "owner", "size", "written")


def run(folder: Path | None, urls: Sequence[str], *, watch_every_s: float | None, as_json: bool) -> None:
    """Show how the ingress on a folder is, or those at some addresses; for the arguments see `bridge.commands.status`.

    Raises:
        typer.Exit: with status 1 where something is not well, 2 where there is no such folder or address.
    """
    look = _look_at_addresses(folder, urls) if urls else _look_at_folder(existing_folder(folder))
    while True:
        found = look()
        if as_json:
            Output().json(msgspec.json.encode(found).decode())
        else:
            output = Output()
            if watch_every_s is not None:
                output.clear()
            _show(found, output)
        if watch_every_s is None:
            raise typer.Exit(0 if found.well else 1)
        if not as_json:
            Output().line()
        time.sleep(watch_every_s)


def _look_at_folder(place: Path) -> Callable[[], IngressStatus]:
    def look() -> IngressStatus:
        with told_in_a_line(place):
            return asyncio.run(status_of(place))

    return look


def _look_at_addresses(folder: Path | None, urls: Sequence[str]) -> Callable[[], IngressStatus]:
    if folder is not None:
        _fail_for_use("a folder is asked, or addresses: give the one or the other")

    def look() -> IngressStatus:
        try:
            return asyncio.run(status_of_addresses(urls))
        except ValueError as error:
            _fail_for_use(str(error))

    return look


def _fail_for_use(problem: str) -> NoReturn:
    Output().error(printable(problem))
    raise typer.Exit(2)


def _show(found: IngressStatus, output: Output) -> None:
    if found.processes:
        _show_all(found, output)
    elif found.folder:
        output.error(
            f"no process of an ingress answers in {found.folder}. Does it run, and is this its BRIDGE_JOURNAL_DIR? In a"
            " container ask in there, as in `docker compose exec ingress bridge status`; on Kubernetes in its pod"
        )
    for silent in found.silent:
        output.remark(printable(f"{_named(silent)} {silent.problem}"))
    if found.left_behind:
        _show_left_behind(found, output)


def _named(silent: SilentProcess) -> str:
    return f"process {silent.pid} on {silent.host}" if silent.pid else f"{silent.host}:"


def _show_all(found: IngressStatus, output: Output) -> None:
    worst = _worst(found.processes)
    is_away = worst.state != "confirming"
    output.line(_kafka_line(worst), "red" if is_away else "green")
    for topic, problem in worst.other_topics.items():
        if is_away and topic not in problem:
            continue  # It is Kafka that is away, not the topic that has something.
        output.line(f"  topic {topic}: {printable(problem)}", "red")
    output.line(_waiting_line(found))
    output.line(_room_line(found))
    for disk in {one.disk.problem: one.disk for one in found.processes if not one.disk.ok}.values():
        output.line(f"disk     takes nothing: {printable(disk.problem)}", "red")
    if quarantined := max((one.disk.quarantine_files for one in found.processes), default=0):
        output.line(
            f"refused  {plural(quarantined, 'record')} that Kafka refuses for good: {command_line('bridge')} journal"
            " show --refused",
            "yellow",
        )
    advice = advice_for(found, is_away=is_away)
    for label, text in (("so", advice.so), ("longer", advice.for_longer), ("do not", advice.do_not)):
        if text:
            output.line(f"{label:<9}{text}", "red" if label == "do not" else "")
    output.line()
    is_one_host = len({one.host for one in found.processes}) == 1
    show_table(
        PROCESSES, [_process_cells(one, names_host=not is_one_host) for one in found.processes], always_headed=True
    )
    if lives := [f"{one.pid} is {printable(one.life)}" for one in found.processes if one.life]:
        output.line(f"audit    of the processes {', '.join(lives)}" if len(lives) > 1 else f"audit    {lives[0]}")
    refusals = sorted((one for each in found.processes for one in each.refusals), key=lambda one: one.last)
    if refusals:
        output.line("last refusals:")
        rows = [
            (one.reason, str(one.count), _second(one.last), str(one.status), one.app or "-", one.address or "-")
            for one in reversed(refusals)
        ]
        show_table(REFUSALS, rows, always_headed=True)


def _worst(processes: list[ProcessStatus]) -> KafkaStatus:
    """Of the process that Kafka confirms nothing to for the longest, or that it confirms to since the latest time."""
    away = [one.kafka for one in processes if one.kafka.state != "confirming"]
    return (
        min(away, key=lambda one: one.since) if away else max((p.kafka for p in processes), key=lambda one: one.since)
    )


def _kafka_line(kafka: KafkaStatus) -> str:
    since = f"since {_second(kafka.since)} UTC ({duration(kafka.since_s)})"
    if kafka.state == "confirming":
        return f"Kafka    at {kafka.servers} confirms {since}"
    problem = kafka.problem.removeprefix(f"Kafka at {kafka.servers} cannot be used: ")
    return f"Kafka    at {kafka.servers} confirms nothing {since}: {printable(problem)}"


def _waiting_line(found: IngressStatus) -> str:
    total = found.total
    if not total.events:
        if found.left_behind:
            left = byte_size(sum(one.bytes for one in found.left_behind))
            journals = plural(len(found.left_behind), "journal")
            return f"waiting  nothing in the processes that answer; {left} in {journals} besides, see below"
        if found.silent:
            return "waiting  nothing in the processes that answer; for the others see below"
        return "waiting  nothing: all that was acknowledged is in Kafka"
    oldest = f", the oldest since {_second(total.oldest)} UTC ({duration(total.oldest_s)})" if total.oldest else ""
    return f"waiting  {plural(total.events, 'event')} ({byte_size(total.bytes)}){oldest}; {_growth(total)}"


def _growth(total: Total) -> str:
    if total.events_per_s is None or total.bytes_per_s is None:
        return "how fast that grows is not known yet"
    if round(total.events_per_s, 1) == 0:
        return "it hardly grows or drains"
    verb = "grows" if total.bytes_per_s > 0 else "drains"
    per_s = f"{verb} by {abs(total.events_per_s):,.1f} events ({byte_size(abs(total.bytes_per_s))}) per second"
    if total.drained_at and total.drained_in_s is not None:
        return f"{per_s}: drained at {_second(total.drained_at)} UTC (in {duration(total.drained_in_s)})"
    return per_s


def _room_line(found: IngressStatus) -> str:
    total = found.total
    free = (
        "and the disk does not say what is free" if total.free_bytes is None else f"{byte_size(total.free_bytes)} free"
    )
    limit = (
        "what is free on the disk; BRIDGE_JOURNAL_MAX_BYTES of each process would be more"
        if total.is_disk_short
        else f"BRIDGE_JOURNAL_MAX_BYTES of each process, {free} on the disk"
    )
    return f"room     {byte_size(total.room_bytes)} ({limit}): {_until_full(found)}"


def _until_full(found: IngressStatus) -> str:
    total = found.total
    full = [one for one in found.processes if not one.disk.room_bytes]
    if len(full) == len(found.processes):
        return "full"
    others = f"{len(full)} of {len(found.processes)} processes are full; the others " if full else ""
    if total.full_at and total.full_in_s is not None:
        when = f"{_second(total.full_at)} UTC (in {duration(total.full_in_s)})"
        return f"{others}full at {when} if it goes on like this; from then on callbacks are refused, and lost"
    if total.bytes_per_s is not None and total.bytes_per_s >= 1:
        return f"{others}not full for weeks if it goes on like this"
    if total.bytes_per_s is None and total.events:
        return f"{others}until when is not known yet: ask again in some seconds"
    return f"{others}not filling up"


def _process_cells(one: ProcessStatus, *, names_host: bool) -> tuple[str, ...]:
    waiting = one.waiting
    kafka = "confirming" if one.kafka.state == "confirming" else f"Kafka {one.kafka.state}"
    return (
        f"{one.host} {one.process}".strip() if names_host else one.process or one.host,
        str(one.pid),
        one.state if one.state != "serving" else kafka if one.ready else "not ready",
        duration(one.kafka.since_s),
        f"{waiting.events:,}",
        duration(waiting.oldest_s) if waiting.oldest else "",
        byte_size(one.disk.room_bytes),
    )


def _show_left_behind(found: IngressStatus, output: Output) -> None:
    journals = plural(len(found.left_behind), "journal")
    output.remark(f"{journals} in {found.folder} for which no process answers:")
    show_table(JOURNALS, [_journal_cells(one) for one in found.left_behind], always_headed=True)
    for one in found.left_behind:
        if one.problem:
            output.remark(printable(f"{one.name}: {one.problem}"))
    if any(one.owner_pid is None and one.is_owner_known for one in found.left_behind):
        drain = f"{command_line('bridge')} journal drain {found.folder}"
        by_hand = f"start an ingress on this folder, or publish it by hand: {drain}"
        adopted = (
            "a process on this folder takes it over within a minute or two, and publishes it when Kafka confirms"
            if found.processes
            else by_hand
        )
        output.remark(f"what those hold whose owner is gone is not lost: {adopted}")
    output.remark(f"to see what they hold: {command_line('bridge')} journal list {found.folder}", "dim")


def _journal_cells(one: UnansweredJournal) -> tuple[str, ...]:
    owner = f"lives ({one.owner_pid})" if one.owner_pid else "lives elsewhere"
    if one.owner_pid is None:
        owner = "gone" if one.is_owner_known else "unknown"
    written = f"{_second(one.written)} UTC ({duration(one.written_s)} ago)"
    return one.name, f"{one.maker} {owner}".strip(), byte_size(one.bytes), written


def _second(time_text: str) -> str:
    """A time of RFC 3339 in UTC, for people."""
    return time_text[:19].replace("T", " ")
