"""`consumers settings`: every setting of the workers."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations


def show_settings() -> None:
    """Print every setting, its default and its meaning."""
    from common.settings import reference
    from common.terminal import show_table
    from consumers.settings import ConsumersSettings

    show_table(("setting", "default", "meaning"), reference(ConsumersSettings))
