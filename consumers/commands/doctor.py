"""`consumers doctor`: tries everything that the workers depend on, and says of each fault what to do."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one object, `well` and `findings`.")] = False,
) -> None:
    """Try everything that the workers depend on, and say of each fault what to do.

    Ends with 0 when all is well, with 1 when there is a fault, with 2 when a setting is wrong.
    """
    from consumers.commands.examination import run

    run(as_json=as_json)
