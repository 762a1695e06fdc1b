"""`bridge journal`: what the journals hold, also those of living processes, and publishing it by hand."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, help="See and publish by hand what the journals hold.")

Folder = Annotated[
    Path | None,
    # We say ourselves, and better, what is wrong with a folder that cannot be read.
    typer.Argument(help="Folder of the journals; default: BRIDGE_JOURNAL_DIR.", readable=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]


@app.command("list")
def list_journals(folder: Folder = None, as_json: AsJson = False) -> None:
    """List each journal: its owner, its size, and what it holds for Kafka."""
    from bridge.commands import journals

    journals.list_journals(folder, as_json=as_json)


@app.command()
def show(
    folder: Folder = None,
    refused: Annotated[bool, typer.Option(help="Those that Kafka refuses for good, instead.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Most records to print.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Print the records that are held: topic, key and value, one a line."""
    from bridge.commands import journals

    journals.show(folder, refused=refused, limit=limit, as_json=as_json)


@app.command()
def drain(
    folder: Folder = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Give up when Kafka has confirmed nothing for so many seconds.")
    ] = 60.0,
    may_be_empty: Annotated[
        bool, typer.Option("--may-be-empty", help="That there is nothing is well; a quarantine is not.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Publish what journals hold whose process is gone, and remove them. For a folder that no process serves.

    Ends with 0 when all that was found is published, with 1 when something is left or nothing was found, with 2 when
    there is no such folder.
    """
    from bridge.commands import journals

    journals.drain(folder, give_up_after_s=timeout, may_be_empty=may_be_empty, as_json=as_json)


@app.command()
def wait(
    folder: Folder = None,
    timeout: Annotated[float, typer.Option(min=0, help="Give up after so many seconds.")] = 600.0,
    at_least: Annotated[
        float, typer.Option(min=0, help="Wait for so many seconds in any case: a front may notice late.")
    ] = 0.0,
) -> None:
    """Wait until Kafka has all that the ingress on this machine holds, which goes on working meanwhile.

    To be run before it is taken away for good. The ingress is asked on its admin port (BRIDGE_ADMIN_PORT). Ends with 0
    when its journal is empty, with 1 when something is left after all that time, or the ingress does not answer.
    """
    from bridge.commands import emptying

    emptying.run(folder, timeout_s=timeout, at_least_s=at_least)
