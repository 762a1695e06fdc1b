"""What brokers know of a consumer group."""

from __future__ import annotations

import logging

from aiokafka.errors import GroupAuthorizationFailedError, IncompatibleBrokerVersion

from common.kafka.clients import ClientArguments, admin_client

log = logging.getLogger(__name__)

_ANSWER_S = 10.0


async def has_committed(arguments: ClientArguments, group: str, topic: str) -> bool:
    """Whether a group has committed offsets of a topic, other than its very beginning.

    False also where the broker does not tell: an embedded one, or one that allows a group no more than it needs.

    Args:
        arguments: of every client, from the settings.
        group: its name.
        topic: its name.

    Raises:
        KafkaError: no broker answers.
    """
    async with admin_client(arguments, request_timeout_s=_ANSWER_S) as admin:
        try:
            committed = await admin.list_consumer_group_offsets(group)
        except (IncompatibleBrokerVersion, GroupAuthorizationFailedError, TypeError) as error:
            # TypeError: aiokafka expects a list where an embedded broker, asked for all topics, answers with none.
            log.debug("the offsets of %s are not known: %r", group, error)
            return False
    return any(partition.topic == topic and offset.offset > 0 for partition, offset in committed.items())
