"""`consumers status`: how far a worker is behind, what it waits for, its dead letters."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def status(
    worker: Annotated[
        str, typer.Argument(metavar="WORKER", help="A name or class, as `consumers run` takes it.")
    ] = "badges",
    *,
    urls: Annotated[
        list[str] | None,
        typer.Option(
            "--url",
            help="Admin address of a process, such as http://10.0.0.7:9090; may be given several times. Default: this"
            " machine, CONSUMERS_ADMIN_PORT.",
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.5, help="With --watch: seconds between two looks.")] = 5.0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs; with --watch an object a line.")] = False,
) -> None:
    """Tell how far a worker is behind, what it waits for, its dead letters.

    Lag and dead letters are asked of Kafka, so they are told also while no process of the worker runs. Ends with 0 when
    all is well, 1 when something is not, 2 when there is no such worker.
    """
    from consumers.commands.status_display import run

    run(worker, urls or (), watch_every_s=interval if watch else None, as_json=as_json)
