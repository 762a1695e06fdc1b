"""What a topic is to be like, for settings, which need no Kafka."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Topic:
    """A topic as we would create it."""

    name: str
    partitions: int
    replication: int
    configs: dict[str, str] = field(default_factory=dict)

    def command(self, bootstrap_servers: str) -> str:
        """The shell command with which an operator creates it."""
        replication = f" --replication-factor {self.replication}" if self.replication > 0 else ""
        configs = "".join(f" --config {name}={value}" for name, value in self.configs.items())
        return (
            f"kafka-topics.sh --bootstrap-server {bootstrap_servers} --create --topic {self.name}"
            f" --partitions {self.partitions}{replication}{configs}"
        )
