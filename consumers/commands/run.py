"""`consumers run`: one worker in this process, until a signal asks to stop."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def run(
    worker: Annotated[
        str,
        typer.Argument(
            metavar="WORKER",
            help="`badges`, `forward`, `reconcile`, `audit`, or a class of yours: `package.module:Class` or"
            " `./file.py:Class`.",
        ),
    ],
    url: Annotated[str | None, typer.Option(help="For `forward`: where to post (CONSUMERS_FORWARD_URL).")] = None,
) -> None:
    """Run a worker until SIGTERM or Ctrl-C."""
    from consumers.commands import running

    running.run(worker, url)
