"""What `/readyz` says of several processes together: the same fields as of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

KAFKA_FROM_BEST = ("confirming", "slow", "away")


def together(details: Sequence[Mapping[str, Any]]) -> dict[str, object]:
    """Of disk, Kafka, quarantine and allow-list how they are, wherever they are worst.

    Args:
        details: of each process; one that has not told yet lacks these fields.
    """
    told = [detail for detail in details if "disk" in detail]
    if not told:
        return {}
    first = told[0]
    failing = [detail for detail in told if detail["disk"] != "ok"]
    return {
        "disk": "failing" if failing else "ok",
        **({"disk_problem": failing[0].get("disk_problem", "")} if failing else {}),
        "kafka": max((detail["kafka"] for detail in told), key=KAFKA_FROM_BEST.index),
        "quarantine": max((detail["quarantine"] for detail in told), key=lambda usage: usage["bytes"]),
        **{name: first[name] for name in ("allowed_networks", "allowed_networks_problem") if name in first},
    }
