"""`consumers settings`."""

from __future__ import annotations

from common.settings import reference
from common.terminal import show_table
from consumers.settings import ConsumersSettings


def show_settings() -> None:
    """Print every setting, its default and its meaning."""
    rows = ((name, default, " ".join(meaning.split())) for name, default, meaning in reference(ConsumersSettings))
    show_table(("setting", "default", "meaning"), rows)
