"""Finds the badge of a user, and puts it into words."""

from __future__ import annotations

import msgspec

from common.program import command_line
from common.timestamps import rfc3339
from consumers.badges.store import Badge, BadgeStore, StoreState
from consumers.commands.execution import fail, quiet_settings, run_to_end
from consumers.settings import ConsumersSettings


def print_badge(account: str, app_id: str | None, *, as_json: bool) -> None:
    """Print the badge of a user, as text or as it is written to the topic.

    Raises:
        typer.Exit: there is none, or there are several.
    """
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
