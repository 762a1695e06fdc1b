"""Settings of the workers: environment variables `CONSUMERS_*`, `<NAME>_FILE` for secrets, a `.env` file.

A module for each concern; `ConsumersSettings` is all of them.
"""

from consumers.settings.consumers_settings import ConsumersSettings
from consumers.settings.group import is_group_name
from consumers.settings.redis import SecretUrl

__all__ = ["ConsumersSettings", "SecretUrl", "is_group_name"]
