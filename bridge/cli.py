"""The command `bridge`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console

from bridge.commands import dlq as dead_letters
from bridge.commands import journal as inspect
from bridge.commands import local
from bridge.commands.doctor import examine
from bridge.contract import schemas
from bridge.process import app as process
from bridge.process.supervisor import Supervisor
from bridge.settings import BridgeSettings, SettingsWithoutApps
from common import logs
from common.kafka import diagnosis
from common.settings import load, reference
from common.terminal import show_table

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
def serve(
    workers: Annotated[int | None, typer.Option(help="Processes on the port (BRIDGE_WORKERS).")] = None,
) -> None:
    """Accept callbacks and publish them, until SIGTERM."""
    settings = load(BridgeSettings, **({} if workers is None else {"workers": workers}))
    logs.configure(log_format=settings.log_format, level=settings.log_level)
    try:
        uvloop.run(process.serve(settings) if settings.workers == 1 else Supervisor(settings).run())
    except OSError as error:
        raise SystemExit(f"error: {error.strerror}") from error


@app.command()
def settings() -> None:
    """Print every setting, its default and its meaning."""
    rows = ((name, default, " ".join(meaning.split())) for name, default, meaning in reference(BridgeSettings))
    show_table(("setting", "default", "meaning"), rows)


@app.command()
def doctor() -> None:
    """Try everything that the ingress depends on, and say of each fault what to do."""
    settings = load(SettingsWithoutApps)
    diagnosis.watch()
    if not uvloop.run(examine(settings, Console())):
        raise SystemExit(1)


@app.command("schemas")
def write_schemas(
    folder: Annotated[Path, typer.Option("--dir", help="Where the schemas are.")] = Path("schemas"),
    docs: Annotated[Path, typer.Option(help="Where the reference is.")] = Path("docs/events.md"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit status 1 if a file is stale.")] = False,
) -> None:
    """Write the schemas and the reference of the events, as the code has them."""
    stale = schemas.differences(folder, docs) if check else schemas.write(folder, docs)
    for path in stale:
        typer.echo(f"{'stale' if check else 'written'}: {path}")
    if check and stale:
        raise typer.Exit(1)


app.add_typer(local.app)
app.add_typer(inspect.app, name="journal")
app.add_typer(dead_letters.app, name="dlq")


def main() -> None:
    """Entry point of the command."""
    app()
