"""`consumers badge`: look at a badge, and make all of them anew."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, help="Look at badges, and make them anew.", no_args_is_help=True)


@app.command("get")
def get_badge(
    account: Annotated[str, typer.Argument(help="The user.")],
    app_id: Annotated[str | None, typer.Option("--app", help="SdkAppid; needed where two apps know the user.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as it is written to the topic.")] = False,
) -> None:
    """Print the badge of a user."""
    from consumers.commands.badge_lookup import print_badge

    print_badge(account, app_id, as_json=as_json)


@app.command()
def rebuild() -> None:
    """Read all events that the topic still has, and bring every badge up to date. Workers may run meanwhile."""
    from consumers.commands.badge_rebuild import rebuild_badges

    rebuild_badges()


@app.command()
def expire() -> None:
    """Let the badges go now that are older than CONSUMERS_BADGE_TTL_DAYS. The worker does it each hour."""
    from consumers.commands.badge_upkeep import expire_now

    expire_now()


@app.command()
def migrate(
    source: Annotated[
        str | None,
        typer.Option("--from", help="Address of another Redis that has badges; `-`: it is read from the input."),
    ] = None,
) -> None:
    """Bring all badges into the layout and under the keys of the settings. Workers may run meanwhile."""
    from consumers.commands.badge_upkeep import migrate_badges

    migrate_badges(source)
