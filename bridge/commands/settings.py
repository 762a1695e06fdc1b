"""`bridge settings`: every setting of the ingress."""

from __future__ import annotations

from common.settings_command import settings_command

settings = settings_command("bridge.settings:BridgeSettings", "bridge")
