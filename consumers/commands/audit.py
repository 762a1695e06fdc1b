"""`consumers audit`: what the ledger of `consumers run audit` says, and what the topics have of a time."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer

from common.dead_letter_filter import parse_time

app = typer.Typer(
    help="Tell whether all is on the topics that the ingress processes have acknowledged.", add_completion=False
)

JsonOption = Annotated[bool, typer.Option("--json", help="For programs, as one object.")]


@app.callback(invoke_without_command=True)
def audit(
    context: typer.Context,
    *,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Read the topics themselves from then on: 2026-01-31T12:00 (UTC), or 2h, 7d for so long ago.",
        ),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="With --from: until then; default: now.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell whether all is on the topics that the ingress processes have acknowledged.

    Without options it shows the ledger that `consumers run audit` keeps. Ends with 0 when nothing is missing and all is
    proven, 1 when records are lost, 3 when none is known to be lost, but not all could be proven, 2 for wrong use.
    """
    if context.invoked_subcommand is not None:
        return
    from consumers.commands import audit_display

    if since is None and until is None:
        audit_display.show_ledger(as_json=as_json)
    if since is None:
        raise typer.BadParameter("say from when on, with --from", param_hint="--to")
    now_ms = _time("--to", "0s")
    from_ms, to_ms = _time("--from", since), min(now_ms, _time("--to", until or "0s"))
    if from_ms >= now_ms:
        raise typer.BadParameter("nothing was received yet from then on: it is not in the past", param_hint="--from")
    if from_ms >= to_ms:
        raise typer.BadParameter("it must be later than --from", param_hint="--to")
    audit_display.show_window(from_ms, to_ms, as_json=as_json)


@app.command()
def forget(
    process: Annotated[str, typer.Argument(help="Its id, as `consumers audit` names it.")],
) -> None:
    """Give up an ingress process that is silent for ever, for its disk is gone: what it held is not waited for."""
    from consumers.commands import audit_forget

    audit_forget.forget(process)


def _time(option: str, text: str) -> int:
    try:
        return parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
