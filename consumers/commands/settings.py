"""`consumers settings`: every setting of the workers."""

from __future__ import annotations

from common.settings_command import settings_command
from consumers.settings import ConsumersSettings

settings = settings_command(ConsumersSettings, "consumers")
