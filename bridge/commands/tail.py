"""`bridge tail`: what is on a topic, on the whole terminal, or in lines for people or for programs."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def tail(
    topic: Annotated[str | None, typer.Argument(help="Default: BRIDGE_TOPIC.")] = None,
    *,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Also what is there already.")] = False,
    type_: Annotated[str, typer.Option("--type", help="Only events of this type; wildcards as in im.c2c.*")] = "*",
    account: Annotated[str | None, typer.Option(help="Only what is about this account or group.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The values themselves, one a line; what is no JSON within an object.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="Lines, as where it is no terminal, instead of a view with keys.")
    ] = False,
) -> None:
    """Show a topic live, one line a record: events, dead letters, badges."""
    from bridge.commands.tailing import run

    run(topic, from_beginning=from_beginning, type_=type_, account=account, as_json=as_json, plain=plain)
