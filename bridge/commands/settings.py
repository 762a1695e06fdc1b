"""`bridge settings`: every setting of the ingress."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations


def settings() -> None:
    """Print every setting, its default and its meaning."""
    from bridge.settings import BridgeSettings
    from common.settings import reference
    from common.terminal import show_table

    show_table(("setting", "default", "meaning"), reference(BridgeSettings))
