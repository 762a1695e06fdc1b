"""Make the topics that a process needs, where the broker lets us; use them as they are where somebody made them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaError,
    TopicAlreadyExistsError,
    for_code,
)

from common.kafka.clients import ClientArguments, admin_client
from common.logs import fields
from common.topic import Topic

log = logging.getLogger(__name__)


class TopicsMissingError(Exception):
    """A topic does not exist and we may not create it. The message says what to run."""


async def ensure_topics(arguments: ClientArguments, topics: Sequence[Topic]) -> None:
    """Create those of `topics` that do not exist. `arguments`: of every client, from the settings.

    A broker that knows no CreateTopics (an embedded one) is taken to make topics on first use.

    Raises:
        TopicsMissingError: a topic does not exist and the broker refuses to create it.
        KafkaConnectionError: no broker answers.
    """
    async with admin_client(arguments) as admin:
        try:
            existing = set(await admin.list_topics())
            missing = [topic for topic in topics if topic.name not in existing]
            if missing:
                await _create(admin, missing, str(arguments["bootstrap_servers"]))
        except IncompatibleBrokerVersion:
            log.info("the broker cannot be asked to create topics; it is taken to make them on first use")


async def max_message_bytes(arguments: ClientArguments, topic: str) -> int | None:
    """The largest batch of records that a topic takes; None where the broker does not tell.

    Raises:
        KafkaConnectionError: no broker answers.
    """
    value = await topic_config(arguments, topic, "max.message.bytes")
    return None if value is None else int(value)


async def topic_config(arguments: ClientArguments, topic: str, wanted: str) -> str | None:
    """An entry of the configuration of a topic; None where the broker does not tell.

    Raises:
        KafkaConnectionError: no broker answers.
    """
    async with admin_client(arguments) as admin:
        try:
            for response in await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]):
                for _error, _message, _type, _name, configs in response.resources:
                    for name, value, *_rest in configs:
                        if name == wanted:
                            return str(value)
        except KafkaError as error:
            log.debug("%s of %s is not known: %r", wanted, topic, error)
    return None


async def _create(admin: AIOKafkaAdminClient, missing: Sequence[Topic], bootstrap_servers: str) -> None:
    response = await admin.create_topics([_new_topic(topic) for topic in missing])
    by_name = {topic.name: topic for topic in missing}
    refused: list[str] = []
    for name, code, *detail in response.topic_errors:
        error: type[KafkaError] = for_code(code)
        if code == 0:
            log.info(
                "created the topic %s with %d partitions",
                name,
                by_name[name].partitions,
                extra=fields("topic_created", topic=name),
            )
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
