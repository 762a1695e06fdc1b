"""`bridge status`: since when Kafka is away and why, what waits for it, and how much room is left."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def status(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of the journals; default: BRIDGE_JOURNAL_DIR.", readable=False)
    ] = None,
    *,
    urls: Annotated[
        list[str] | None,
        typer.Option(
            "--url",
            help="Admin address of an ingress, such as http://10.0.0.7:9090, to be asked in place of the folder; may be"
            " given several times.",
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.5, help="With --watch: seconds between two looks.")] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="For programs; with --watch an object a line.")] = False,
) -> None:
    """Tell since when Kafka is away and why, what waits for it, and when the disk is full or all is drained.

    The processes are asked on their sockets in the folder of the journals: nothing is copied, and no port is needed.
    With --url their admin ports are asked, from wherever; what lies in folders without a process is not seen then.
    Ends with 0 when all is well, 1 when something is not or nobody answers, 2 when there is no such folder or address.
    """
    from bridge.commands.status_display import run

    run(folder, urls or (), watch_every_s=interval if watch else None, as_json=as_json)
