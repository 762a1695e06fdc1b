"""What the settings of every process have."""

from __future__ import annotations

from common.settings.kafka import KafkaSettings
from common.settings.logs import LogSettings
from common.settings.topics import CreatedTopicSettings


class Settings(KafkaSettings, CreatedTopicSettings, LogSettings):
    """Base of a process's settings: Kafka and the log."""
