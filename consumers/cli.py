"""The command `consumers`: puts the commands together. Each is a module of `consumers/commands`, named after it."""

from __future__ import annotations

import typer

from common.terminal import CommandGroup, run_program
from consumers.commands import badge, dlq
from consumers.commands.run import run
from consumers.commands.settings import show_settings

app = typer.Typer(
    cls=CommandGroup,
    help="Workers on the topic of events. Settings are environment variables: see `consumers settings`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run)
app.command("settings")(show_settings)
app.add_typer(badge.app, name="badge")
app.add_typer(dlq.app, name="dlq")


def main() -> None:
    """Entry point of the command."""
    run_program(app)
