"""Make the topics that a process needs, where the broker lets us; use them as they are where somebody made them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

log = logging.getLogger(__name__)


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


class TopicsMissingError(Exception):
    """A topic does not exist and we may not create it. The message says what to run."""


class _Admin(AIOKafkaAdminClient):  # type: ignore[misc]
    """Does not take for granted that some broker says it is the controller: an embedded one does not."""

    async def _send_to_controller(self, request: Any) -> Any:
        if self._client.cluster.controller is None:
            await self._client.force_metadata_update()
        if self._client.cluster.controller is None:
            return await self._send_request(request)
        return await super()._send_to_controller(request)


async def ensure_topics(client: dict[str, Any], topics: Sequence[Topic]) -> None:
    """Create those of `topics` that do not exist. `client`: arguments of every aiokafka client, from the settings.

    A broker that knows no CreateTopics (an embedded one) is taken to make topics on first use.

    Raises:
        TopicsMissingError: a topic does not exist and the broker refuses to create it.
        KafkaConnectionError: no broker answers.
    """
    admin = _Admin(**client)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [topic for topic in topics if topic.name not in existing]
        if missing:
            await _create(admin, missing, str(client["bootstrap_servers"]))
    except IncompatibleBrokerVersion:
        log.info("the broker cannot be asked to create topics; it is taken to make them on first use")
    finally:
        await admin.close()


async def max_message_bytes(client: dict[str, Any], topic: str) -> int | None:
    """The largest batch of records that a topic takes; None where the broker does not tell.

    Raises:
        KafkaConnectionError: no broker answers.
    """
    admin = AIOKafkaAdminClient(**client)
    await admin.start()
    try:
        for response in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]):
            for _error, _message, _type, _name, configs in response.resources:
                for name, value, *_rest in configs:
                    if name == "max.message.bytes":
                        return int(value)
    except KafkaError as error:
        log.debug("the largest message of %s is not known: %r", topic, error)
    finally:
        await admin.close()
    return None


async def _create(admin: AIOKafkaAdminClient, missing: Sequence[Topic], bootstrap_servers: str) -> None:
    response = await admin.create_topics([_new_topic(topic) for topic in missing])
    by_name = {topic.name: topic for topic in missing}
    refused: list[str] = []
    for name, code, *detail in response.topic_errors:
        error: type[KafkaError] = for_code(code)
        if code == 0:
            log.info("created the topic %s with %d partitions", name, by_name[name].partitions)
        elif error is not TopicAlreadyExistsError:
            reason = next((text for text in detail if text), error.__name__)
            refused.append(f"{name} ({reason}): {by_name[name].command(bootstrap_servers)}")
    if refused:
        raise TopicsMissingError(
            "the broker did not let us create topics that do not exist yet. Ask its operator to run:\n  "
            + "\n  ".join(refused)
        )


def _new_topic(topic: Topic) -> NewTopic:
    # aiokafka takes the broker's default replication (-1) for a lack of both replication and assignment, unless there
    # is an assignment, be it an empty one.
    assignments: dict[int, list[int]] | None = {} if topic.replication == -1 else None
    return NewTopic(
        topic.name, topic.partitions, topic.replication, replica_assignments=assignments, topic_configs=topic.configs
    )


__all__ = ["KafkaConnectionError", "Topic", "TopicsMissingError", "ensure_topics", "max_message_bytes"]
