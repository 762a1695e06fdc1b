"""`consumers settings`: every setting of the workers."""

from __future__ import annotations

from common.settings_command import settings_command

settings = settings_command("consumers.settings:ConsumersSettings", "consumers")
