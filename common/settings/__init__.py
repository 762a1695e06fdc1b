"""What the settings of every process have in common: their sources, secrets from files, the Kafka connection.

A process's settings are composed of groups, one for each concern.
"""

from common.settings.loading import load_settings
from common.settings.problems import meaning_of
from common.settings.settings import Settings
from common.settings.settings_group import SettingsGroup
from common.settings.topics import check_topic, retention_ms

__all__ = ["Settings", "SettingsGroup", "check_topic", "load_settings", "meaning_of", "retention_ms"]
