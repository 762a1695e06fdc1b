"""The command `bridge`."""

from __future__ import annotations

import logging

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bridge import serve as process
from bridge.settings import BridgeSettings
from common import logs
from common.settings import load, reference

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Tencent Cloud IM callbacks, durably on a Kafka topic.",
)
log = logging.getLogger(__name__)


@app.callback()
def _root() -> None:
    """Settings come from the environment; `bridge settings` lists them."""


@app.command()
def serve() -> None:
    """Accept callbacks and publish them, until SIGTERM."""
    settings = load(BridgeSettings)
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    try:
        uvloop.run(process.serve(settings))
    except OSError as error:
        raise SystemExit(f"error: {error.strerror}") from error


@app.command()
def settings() -> None:
    """Print every setting, its default and its meaning."""
    table = Table("setting", "default", "meaning", show_lines=False)
    for name, default, meaning in reference(BridgeSettings):
        table.add_row(name, default, " ".join(meaning.split()))
    Console().print(table)


def main() -> None:
    """Entry point of the command."""
    app()
