"""The command `bridge`: puts its commands together, each of which is a module of `bridge.commands`."""

from __future__ import annotations

import typer

from bridge.commands import dlq, journal
from bridge.commands.demo import demo
from bridge.commands.dev import dev
from bridge.commands.doctor import doctor
from bridge.commands.schemas import schemas
from bridge.commands.send import send
from bridge.commands.serve import serve
from bridge.commands.settings import settings
from bridge.commands.tail import tail
from common.terminal import CommandGroup, run_program

app = typer.Typer(
    cls=CommandGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tencent Cloud IM callbacks, durably on a Kafka topic.",
)


@app.callback()
def _root() -> None:
    """Settings come from the environment; `bridge settings` lists them."""


for command in (serve, settings, doctor, schemas, dev, demo, send, tail):
    app.command()(command)
app.add_typer(journal.app, name="journal")
app.add_typer(dlq.app, name="dlq")


def main() -> None:
    """Entry point of the command."""
    run_program(app)
