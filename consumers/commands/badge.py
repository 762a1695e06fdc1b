"""`consumers badge`: look at a badge, and make all of them anew."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from common.program import command_line
from common.terminal import progress_bar
from common.timestamps import rfc3339
from consumers.badges.rebuild import RebuildProgress, rebuild
from consumers.badges.store import Badge, BadgeStore, StoreState
from consumers.commands.execution import fail, quiet_settings, run_to_end
from consumers.settings import ConsumersSettings

app = typer.Typer(help="Look at badges, and make them anew.", no_args_is_help=True)


@app.command("get")
def get_badge(
    account: Annotated[str, typer.Argument(help="The user.")],
    app_id: Annotated[str | None, typer.Option("--app", help="SdkAppid; needed where two apps know the user.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as it is written to the topic.")] = False,
) -> None:
    """Print the badge of a user."""
    found, state = run_to_end(_find(quiet_settings(), account, app_id))
    where = f"app {app_id}" if app_id else "any app"
    if not found and state.lost_at_ms:
        at = rfc3339(state.lost_at_ms)
        command = f"{command_line('consumers')} badge rebuild"
        fail(f"no badge of {account} in {where}: Redis has lost its badges ({at}), run `{command}`")
    if not found:
        fail(f"no badge of {account} in {where}: no event that says or changes its count was handled yet")
    if len(found) > 1:
        apps = ", ".join(one.app_id for one in found)
        fail(f"{account} has a badge in several apps ({apps}): name one with --app")
    print(msgspec.json.encode(found[0]).decode() if as_json else _text(found[0]))  # noqa: T201


@app.command("rebuild")
def rebuild_badges() -> None:
    """Read all events that the topic still has, and bring every badge up to date. Workers may run meanwhile."""
    settings = quiet_settings()
    title = f"reading {settings.topic}"
    with progress_bar(title) as show:

        def report(progress: RebuildProgress) -> None:
            waiting = f"waiting: {progress.waiting_for}" if progress.waiting_for else title
            show(progress.read, progress.total, title=waiting)

        done = run_to_end(rebuild(settings, report))
    unreadable = f", {done.unreadable} were no events" if done.unreadable else ""
    print(f"{done.read} records read, {done.events} events about badges applied{unreadable}")  # noqa: T201


async def _find(settings: ConsumersSettings, account: str, app_id: str | None) -> tuple[list[Badge], StoreState]:
    store = BadgeStore(settings)
    try:
        await store.check()
        return await store.find(account, app_id), store.state
    finally:
        await store.close()


def _text(badge: Badge) -> str:
    unread = "not known" if badge.unread is None else str(badge.unread)
    rows = [
        ("account", badge.account),
        ("app", badge.app_id),
        ("unread", f"{unread} (stale: it has changed since)" if badge.stale else unread),
        ("time", badge.time or "-"),
        ("event", badge.event_id or "-"),
        ("stale", "yes" if badge.stale else "no"),
    ]
    return "\n".join(f"{name:<8} {value}" for name, value in rows)
