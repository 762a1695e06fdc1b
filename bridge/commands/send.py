"""`bridge send`: posts a callback as the platform would."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def send(
    name: Annotated[
        str | None,
        typer.Argument(metavar="COMMAND", help="A callback command, or one of the samples; none: list these."),
    ] = None,
    *,
    url: Annotated[str | None, typer.Option(help="Where to post; default: this machine, BRIDGE_PORT.")] = None,
    app_id: Annotated[str | None, typer.Option("--app", help="SdkAppid; default: the first of BRIDGE_APPS.")] = None,
    token: Annotated[str | None, typer.Option(help="Token to sign with; default: that of BRIDGE_APPS.")] = None,
    body: Annotated[Path | None, typer.Option(help="File with a body of your own; - for standard input.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the body.")
    ] = None,
    same: Annotated[
        bool,
        typer.Option("--same", help="Keys and times as documented: sent again, it is a redelivery. Else it is new."),
    ] = False,
) -> None:
    """Post a callback as the platform does, signed, with a documented body or one of your own."""
    from bridge.commands import sending

    if name is None:
        if url or app_id or token or body or changes or same:
            raise typer.BadParameter("which callback is it? Give a command, such as C2C.CallbackAfterSendMsg")
        sending.list_samples()
    else:
        sending.run(name, url=url, app_id=app_id, token=token, body=body, changes=changes or (), same=same)
