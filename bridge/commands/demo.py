"""`bridge demo`: one callback on its whole way, every step of it looked at."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations


def demo() -> None:
    """Show one callback on its whole way, on an embedded Kafka and Redis; fail if any step of it fails."""
    from bridge.commands.demonstration import run

    run()
