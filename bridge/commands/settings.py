"""`bridge settings`: every setting of the ingress."""

from __future__ import annotations

from bridge.settings import BridgeSettings
from common.settings_command import settings_command

settings = settings_command(BridgeSettings, "bridge")
