"""`consumers settings`: every setting of the workers."""

from __future__ import annotations

from common.settings import reference
from common.terminal import show_table
from consumers.settings import ConsumersSettings


def show_settings() -> None:
    """Print every setting, its default and its meaning."""
    show_table(("setting", "default", "meaning"), reference(ConsumersSettings))
