"""`consumers desk`: does for another program what the commands do for people, a JSON object a line.

A request is `{"id": …, "do": "badge", …}`; what there is to do, and with what, `desk_work.DeskWork` says.
Answers carry its `id` and `progress`, any number of times, then `result`, or `error`, which is for people, and
`may_quote`: whether the error has words of a worker, which may quote an event. It ends when its standard input does.
"""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations


def desk() -> None:
    """Answer the page of `bridge console`, which starts it: badges, workers, replays; for nobody else."""
    from consumers.commands.desk_work import run

    run()
