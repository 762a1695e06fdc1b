"""`bridge doctor`: tries everything that the ingress depends on, and says of each fault what to do."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations


def doctor() -> None:
    """Try everything that the ingress depends on, and say of each fault what to do."""
    from bridge.commands.examination import run

    run()
