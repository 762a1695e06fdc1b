"""What `bridge plan` does: reckons with the figures of `bridge.plan`, and shows what comes out."""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson
import typer

from bridge.plan.measured import ASSUMED, MEASURED, Assumed
from bridge.plan.model import Demand, Sizing, size
from common.terminal import Output, show_table
from common.text import byte_size, duration

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MAX_OUTAGE_S = 365 * 86_400


def run(rate: float, *, users: float, outage: str, assumptions: Mapping[str, float | None], as_json: bool) -> None:
    """Print what is needed; for the arguments see `bridge.commands.plan`.

    Args:
        assumptions: fields of `Assumed`; None: as it has them.

    Raises:
        typer.BadParameter: the outage is no duration.
    """
    demand = Demand(rate, users, read_duration(outage))
    assumed = ASSUMED._replace(**{name: value for name, value in assumptions.items() if value is not None})
    sizing = size(demand, assumed=assumed)
    output = Output()
    if as_json:
        found = {"demand": demand._asdict(), "needs": sizing._asdict(), "assumed": assumed._asdict()}
        output.json(orjson.dumps(found | {"measured": MEASURED._asdict()}).decode())
        return
    show_table(("what", "how much", "why"), rows(demand, sizing, assumed))
    output.remark(f"Reckoned with: {', '.join(f'{name} {value:g}' for name, value in assumed._asdict().items())}")


def read_duration(text: str) -> float:
    """Seconds of a duration such as `90s`, `30m`, `2h`, `1d`, `2h30m`.

    Raises:
        typer.BadParameter: it is none.
    """
    parts = re.findall(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", text)
    seconds = sum(float(number) * UNITS_S[unit] for number, unit in parts)
    if "".join(map("".join, parts)) != text.strip() or not 0 < seconds <= MAX_OUTAGE_S:
        raise typer.BadParameter(
            f"{text!r} is no duration up to a year: write it as 90s, 30m, 2h, 2h30m or 1d", param_hint="'--outage'"
        )
    return seconds


def rows(demand: Demand, sizing: Sizing, assumed: Assumed) -> list[tuple[str, str, str]]:
    """The table: what, how much of it, and why so much."""
    rate, busy = demand.callbacks_per_s, f"{assumed.busy:.0%} busy"
    return [
        (
            "ingress processes, a core each",
            f"{sizing.ingress:,}",
            f"{MEASURED.callbacks_per_core:,.0f} callbacks/s and core, {busy}, a tenth more as spare",
        ),
        (
            "their memory",
            byte_size(sizing.ingress_memory),
            f"{MEASURED.ingress_mib:.0f} MiB each, and up to twice BRIDGE_READ_AHEAD_BYTES in an outage",
        ),
        (
            "connections at a time",
            f"{sizing.connections:,.0f} or more",
            f"a reply takes {MEASURED.reply_s * 1000:g} ms",
        ),
        ("open files of a process", f"{sizing.open_files:,} or more", "idle connections of the platform come on top"),
        (
            "journal of a process, filled",
            f"{byte_size(sizing.journal_bytes_per_s)}/s",
            "while Kafka is away, at the peak",
        ),
        (
            f"BRIDGE_JOURNAL_MAX_BYTES, and its disk, for {duration(demand.outage_s)}",
            byte_size(sizing.journal_bytes),
            f"drained {duration(sizing.drained_s)} after Kafka is back",
        ),
        (
            "badges workers, a core each",
            f"{sizing.workers:,}",
            f"{MEASURED.badge_events_per_core:,.0f} events/s and core, {busy}, a tenth more as spare",
        ),
        ("partitions of the topic", f"{sizing.partitions:,}", "two for each worker, so that it may double"),
        ("traffic into the topic", f"{byte_size(sizing.topic_bytes_per_s)}/s", f"{rate:,.0f} events, not compressed"),
        (
            "disk of the topic, all copies",
            byte_size(sizing.topic_bytes),
            f"{assumed.retention_days:g} days, {assumed.replicas:g} copies, {assumed.mean_share:.0%} of the peak",
        ),
        ("brokers", f"{sizing.brokers:,}", f"decided by {sizing.brokers_limit}"),
        (
            "badges in Redis",
            byte_size(sizing.badge_bytes),
            f"{demand.users:,.0f} users, {MEASURED.badge_bytes:.0f} bytes each",
        ),
        ("masters of Redis", f"{sizing.redis_nodes:,}", f"decided by {sizing.redis_limit}"),
    ]
