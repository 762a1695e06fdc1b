"""The command `consumers`."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
import redis.exceptions
import typer
import uvloop
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from common.logs import configure
from common.settings import load, reference
from common.topics import TopicsMissingError
from consumers.badge_store import Badge, BadgeStore
from consumers.badges import Badges
from consumers.errors import RetryLater, WorkerRefusedError, describe
from consumers.rebuild import Progress, rebuild
from consumers.runtime import Runtime
from consumers.settings import ConsumersSettings
from consumers.worker import Worker

WORKERS: dict[str, type[Worker]] = {worker.name: worker for worker in (Badges,)}
"""The workers of this package, by the name that `consumers run` takes."""

Result = TypeVar("Result")

app = typer.Typer(
    help="Workers on the topic of events. Settings are environment variables: see `consumers settings`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
badge = typer.Typer(help="Look at badges, and make them anew.", no_args_is_help=True)
app.add_typer(badge, name="badge")


def main() -> None:
    """Entry point of the command."""
    app()


@app.command()
def run(
    worker: Annotated[
        str, typer.Argument(metavar="WORKER", help="`badges`, or a class of yours as `package.module:Class`.")
    ],
) -> None:
    """Run a worker until SIGTERM or Ctrl-C."""
    settings = load(ConsumersSettings)
    configure(log_format=settings.log_format, level=settings.log_level)
    try:
        runtime = Runtime(_worker(worker)(), settings)
    except OSError as error:
        _fail(f"a certificate of the Kafka connection cannot be read ({describe(error)}): see CONSUMERS_KAFKA_SSL_*")
    _run(runtime.run())


@app.command("settings")
def show_settings() -> None:
    """Print every setting, its default and its meaning."""
    table = Table("setting", "default", "meaning")
    for name, default, meaning in reference(ConsumersSettings):
        table.add_row(name, default, " ".join(meaning.split()))
    Console().print(table)


@badge.command("get")
def get_badge(
    account: Annotated[str, typer.Argument(help="The user.")],
    app_id: Annotated[str | None, typer.Option("--app", help="SdkAppid; needed where two apps know the user.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as it is written to the topic.")] = False,
) -> None:
    """Print the badge of a user."""
    settings = load(ConsumersSettings)
    configure(log_format=settings.log_format, level="error")
    found = _run(_find(settings, account, app_id))
    where = f"app {app_id}" if app_id else "any app"
    if not found:
        _fail(f"no badge of {account} in {where}: no event that says or changes its count was handled yet")
    if len(found) > 1:
        apps = ", ".join(one.app_id for one in found)
        _fail(f"{account} has a badge in several apps ({apps}): name one with --app")
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

        done = _run(rebuild(settings, report))
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


def _worker(name: str) -> type[Worker]:
    if name in WORKERS:
        return WORKERS[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        _fail(f"there is no worker {name}: take {', '.join(WORKERS)}, or a class of yours as package.module:Class")
    sys.path.insert(0, "")  # a module of the current folder, as `python -m` finds it
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        _fail(f"the worker {name} cannot be imported: {error}")
    except AttributeError:
        _fail(f"the module {module} has no {attribute}")
    if not (isinstance(found, type) and issubclass(found, Worker)):
        _fail(f"{name} is no worker: make it a subclass of consumers.worker.Worker")
    if not getattr(found, "name", ""):
        _fail(f"{name} has no name: give the class an attribute name, which is its consumer group too")
    return found


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except redis.exceptions.ResponseError as error:
        _fail(f"Redis has something else where a badge should be ({describe(error)}): delete that key")
    except (RetryLater, WorkerRefusedError, TopicsMissingError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.strerror or describe(error)}: is the port of CONSUMERS_ADMIN_PORT taken?")
    except KafkaError as error:
        _fail(f"Kafka: {describe(error)}")


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(1)
