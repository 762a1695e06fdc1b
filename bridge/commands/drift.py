"""`bridge drift`: what came differently from the platform's documentation."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def drift(
    command: Annotated[
        str, typer.Argument(metavar="COMMAND", help="Only this callback command; wildcards as in 'Group.*'.")
    ] = "*",
    *,
    urls: Annotated[
        list[str] | None,
        typer.Option(
            "--url",
            help="Admin address of an ingress, such as http://10.0.0.7:9090; several are summed. Default: this machine,"
            " BRIDGE_ADMIN_PORT.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    as_report: Annotated[bool, typer.Option("--report", help="As Markdown, to be pasted into an issue.")] = False,
) -> None:
    """List what came differently from the platform's documentation: names and types, nothing that a user wrote."""
    if as_json and as_report:
        raise typer.BadParameter("--json is for programs, --report for people: give one of them")
    from bridge.commands.drifting import run

    run(command, urls=urls or (), as_json=as_json, as_report=as_report)
