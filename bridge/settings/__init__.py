"""Settings of the ingress: environment variables `BRIDGE_*`, `<NAME>_FILE` for secrets, a `.env` file.

A module for each concern; `BridgeSettings` is all of them.
"""

from bridge.settings.bridge_settings import BridgeSettings
from bridge.settings.optional_apps import DEV_APP, DEV_TOKEN, DeveloperSettings, InspectionSettings, RescueSettings

__all__ = ["DEV_APP", "DEV_TOKEN", "BridgeSettings", "DeveloperSettings", "InspectionSettings", "RescueSettings"]
