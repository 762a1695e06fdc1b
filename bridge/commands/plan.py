"""`bridge plan`: what a number of callbacks and users needs."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def plan(
    rate: Annotated[float, typer.Option(min=0.001, max=1e9, help="Callbacks a second at the peak.")],
    *,
    users: Annotated[float, typer.Option(min=0, max=1e12, help="Users of all apps.")] = 0,
    outage: Annotated[
        str, typer.Option(metavar="DURATION", help="How long Kafka may be away at the peak: 90s, 30m, 2h30m, 1d.")
    ] = "1h",
    event_bytes: Annotated[float | None, typer.Option(min=1, max=1e9, help="Of an event in JSON.")] = None,
    retention_days: Annotated[
        float | None, typer.Option(min=0, max=36_500, help="How long the topic keeps events.")
    ] = None,
    replicas: Annotated[int | None, typer.Option(min=1, max=100, help="Copies of each record on the brokers.")] = None,
    busy: Annotated[float | None, typer.Option(min=0.05, max=1, help="How busy a core may be at the peak.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Say what a number of callbacks and users needs: processes, partitions, brokers, Redis, disk for an outage.

    It reckons with what was measured on one machine, and with assumptions that it names: docs/scale.md has both, and
    what they were checked against. `bridge load` shows what your own machines do. Nothing is asked of anybody.
    """
    from bridge.commands import planning

    changes = {"event_bytes": event_bytes, "retention_days": retention_days, "replicas": replicas, "busy": busy}
    planning.run(rate, users=users, outage=outage, assumptions=changes, as_json=as_json)
