"""`bridge settings`: every setting of the ingress."""

from __future__ import annotations

from bridge.settings import BridgeSettings
from common.settings import reference
from common.terminal import show_table


def settings() -> None:
    """Print every setting, its default and its meaning."""
    show_table(("setting", "default", "meaning"), reference(BridgeSettings))
