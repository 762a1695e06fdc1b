"""`consumers backfill`: the messages of the platform's archive of which no event is on the topic."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def backfill(
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Messages since then: 2026-11-25T10:00, with +08:00 or Z where it is no local time; or an hour of the"
            " archive, 2026112510, in Beijing's time.",
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Messages before then: the same, or a time of day alone, 13:00.")
    ] = None,
    *,
    chat: Annotated[
        str | None, typer.Option(help="`c2c`: one-to-one messages alone; `group`: those of groups. Default: both.")
    ] = None,
    apps: Annotated[
        list[str] | None,
        typer.Option("--app", help="SdkAppid; may be given several times. Default: all of CONSUMERS_IM_APPS."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Publish nothing; only count.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Compare each hour once its file is there, until SIGTERM or Ctrl-C.")
    ] = False,
    publish: Annotated[bool, typer.Option("--publish", help="With --watch: publish what is missing, too.")] = False,
    despite_retention: Annotated[
        bool,
        typer.Option("--despite-retention", help="Publish also what the topic may have had, and has deleted since."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line: each hour, then the sum.")] = False,
) -> None:
    """Publish the messages of the platform's archive of which no event is on the topic.

    Ends with 0 when all that was asked for is on the topic, 1 when something is missing, or an hour or a line of its
    files could not be compared.
    """
    from consumers.commands import backfilling

    if watch:
        backfilling.watch(
            start,
            end,
            chat=chat,
            apps=apps or [],
            publish=publish,
            dry_run=dry_run,
            despite_retention=despite_retention,
            as_json=as_json,
        )
    elif publish:
        raise typer.BadParameter("without --watch what is missing is published anyway; --dry-run only counts it")
    else:
        backfilling.run(
            start,
            end,
            chat=chat,
            apps=apps or [],
            dry_run=dry_run,
            despite_retention=despite_retention,
            as_json=as_json,
        )
