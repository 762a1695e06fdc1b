"""The command `consumers`."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from common.logs import configure
from common.settings import load, reference
from common.terminal import show_table
from consumers.badges.rebuild import Progress, rebuild
from consumers.badges.store import Badge, BadgeStore
from consumers.commands import dlq
from consumers.commands.find import fail, find_worker, run_to_end
from consumers.errors import describe
from consumers.reconcile import reconciler as reconcile
from consumers.reconcile.reconciler import Reconciler
from consumers.runtime.runtime import Runtime
from consumers.settings import ConsumersSettings

app = typer.Typer(
    help="Workers on the topic of events. Settings are environment variables: see `consumers settings`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
badge = typer.Typer(help="Look at badges, and make them anew.", no_args_is_help=True)
app.add_typer(badge, name="badge")
app.add_typer(dlq.app, name="dlq")


def main() -> None:
    """Entry point of the command."""
    app()


@app.command()
def run(
    worker: Annotated[
        str,
        typer.Argument(
            metavar="WORKER", help="`badges`, `forward`, `reconcile`, or a class of yours as `package.module:Class`."
        ),
    ],
    url: Annotated[str | None, typer.Option(help="For `forward`: where to post (CONSUMERS_FORWARD_URL).")] = None,
) -> None:
    """Run a worker until SIGTERM or Ctrl-C."""
    settings = load(ConsumersSettings, **({} if url is None else {"forward_url": url}))
    configure(log_format=settings.log_format, level=settings.log_level)
    try:
        process = Reconciler(settings) if worker == reconcile.NAME else Runtime(find_worker(worker)(), settings)
    except OSError as error:
        fail(f"a certificate of the Kafka connection cannot be read ({describe(error)}): see CONSUMERS_KAFKA_SSL_*")
    run_to_end(process.run())


@app.command("settings")
def show_settings() -> None:
    """Print every setting, its default and its meaning."""
    rows = ((name, default, " ".join(meaning.split())) for name, default, meaning in reference(ConsumersSettings))
    show_table(("setting", "default", "meaning"), rows)


@badge.command("get")
def get_badge(
    account: Annotated[str, typer.Argument(help="The user.")],
    app_id: Annotated[str | None, typer.Option("--app", help="SdkAppid; needed where two apps know the user.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as it is written to the topic.")] = False,
) -> None:
    """Print the badge of a user."""
    settings = load(ConsumersSettings)
    configure(log_format=settings.log_format, level="error")
    found = run_to_end(_find(settings, account, app_id))
    where = f"app {app_id}" if app_id else "any app"
    if not found:
        fail(f"no badge of {account} in {where}: no event that says or changes its count was handled yet")
    if len(found) > 1:
        apps = ", ".join(one.app_id for one in found)
        fail(f"{account} has a badge in several apps ({apps}): name one with --app")
    print(msgspec.json.encode(found[0]).decode() if as_json else _text(found[0]))  # noqa: T201


@badge.command("rebuild")
def rebuild_badges() -> None:
    """Read all events that the topic still has, and bring every badge up to date. Workers may run meanwhile."""
    settings = load(ConsumersSettings)
    configure(log_format=settings.log_format, level="error")
    bar = Bar(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(f"reading {settings.topic}", total=None)

        def report(progress: Progress) -> None:
            waiting = f"waiting: {progress.waiting_for}" if progress.waiting_for else f"reading {settings.topic}"
            bar.update(task, total=progress.total, completed=progress.read, description=waiting)

        done = run_to_end(rebuild(settings, report))
    unreadable = f", {done.unreadable} were no events" if done.unreadable else ""
    print(f"{done.read} records read, {done.events} events about badges applied{unreadable}")  # noqa: T201


async def _find(settings: ConsumersSettings, account: str, app_id: str | None) -> list[Badge]:
    store = BadgeStore(settings)
    try:
        await store.check()
        return await store.find(account, app_id)
    finally:
        await store.close()


def _text(found: Badge) -> str:
    unread = "not known" if found.unread is None else str(found.unread)
    rows = [
        ("account", found.account),
        ("app", found.app_id),
        ("unread", f"{unread} (stale: it has changed since)" if found.stale else unread),
        ("time", found.time or "-"),
        ("event", found.event_id or "-"),
        ("stale", "yes" if found.stale else "no"),
    ]
    return "\n".join(f"{name:<8} {value}" for name, value in rows)
