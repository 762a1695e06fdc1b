"""What an operator may do, and must not do, as things are with Kafka and the disk."""

from __future__ import annotations

from typing import NamedTuple

from bridge.commands.ingress_status import IngressStatus
from common.program import command_line


class Advice(NamedTuple):
    """For people; empty where there is nothing to be said."""

    so: str = ""
    do_not: str = ""
    """Continues "do not"."""
    for_longer: str = ""
    """How callbacks are taken for longer, or again."""


RAISE_THE_BUDGET = (
    "raise BRIDGE_JOURNAL_MAX_BYTES, as far as the disk has room for it in each process, and run"
    f" {command_line('bridge')} reload; where it is a variable of the environment, as in containers, start them anew"
)
MORE_DISK = "remove from the disk what others keep there, or enlarge it: it is full before the budget is"
REFUSED = "callbacks are refused, and the platform does not send them again; what was acknowledged is kept"
KEEP = "remove the folder, its files or its disk (of containers: the volume), and do not scale this ingress in"

NOT_LOST = Advice(
    "nothing that was acknowledged is lost. Bring Kafka back: what waits leaves by itself then. A restart loses nothing"
    " either, and gains nothing",
    KEEP,
)
BUDGET_USED = Advice(f"{REFUSED}. Bring Kafka back", KEEP, f"to take callbacks again before that, {RAISE_THE_BUDGET}")
BOTH_AWAY = Advice(
    f"{REFUSED}. Bring Kafka or the disk back, what is faster",
    f"restart: what is in memory alone would be lost. Do not {KEEP}",
)
KAFKA_ALONE = Advice(
    "Kafka alone makes callbacks durable. Free or repair the disk; nothing has to be restarted",
    "restart Kafka or this ingress until then",
)
BUDGET_DRAINS = Advice(
    "Kafka alone makes callbacks durable, until it has taken some of what waits",
    "restart Kafka or this ingress until then",
)
DRAINING = Advice("what waits is on its way: restart as you like")


def advice_for(found: IngressStatus, *, is_away: bool) -> Advice:
    """What follows from a status. `is_away`: Kafka confirms nothing to a process at least."""
    if failing := [one for one in found.processes if not one.disk.ok]:
        is_budget = all(one.disk.is_budget_used for one in failing)
        if not is_away:
            return BUDGET_DRAINS if is_budget else KAFKA_ALONE
        advice = BUDGET_USED if is_budget else BOTH_AWAY
        if len(failing) == len(found.processes):
            return advice
        return advice._replace(so=f"in {len(failing)} of {len(found.processes)} processes {advice.so}")
    if not is_away:
        return DRAINING if found.total.events else Advice()
    if found.total.full_at is None:
        return NOT_LOST
    return NOT_LOST._replace(for_longer=MORE_DISK if found.total.is_disk_short else RAISE_THE_BUDGET)
