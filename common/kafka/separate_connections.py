"""Of several brokers one may be silent, frozen or cut off: nobody waits for it who could go on with another.

aiokafka makes one connection at a time, gives each the whole time of a request, and takes the first broker that chance
names. While one of three brokers was silent, a producer could hardly begin, or send to the others.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import defaultdict
from typing import Any

from aiokafka import AIOKafkaClient
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaConnectionError

from common.kafka.connection import MendedConnection, UnreachableError
from common.kafka.diagnosis import note_cause

log = logging.getLogger(__name__)

CONNECT_S = 3.0
"""How long a broker may take to be connected to, TLS and login among it. Then it is tried again."""
IMPATIENT_MS = 1000
"""How long each of several bootstrap servers has at first; if none of them answers by then, as long as a request."""


def connect_to_each_by_itself(client: AIOKafkaClient, *, within_s: float = CONNECT_S) -> None:
    """Let a client make connections to several brokers at the same time, and wait for none of them for long.

    Args:
        client: not started yet.
        within_s: how long a broker may take.
    """
    connect = client._get_conn
    locks: defaultdict[Any, asyncio.Lock] = defaultdict(asyncio.Lock)
    client._get_conn_lock_value = contextlib.nullcontext()

    async def get_connection(node: Any, **options: Any) -> Any:
        # Also where there is a connection: who came first sends first.
        async with locks[node]:
            try:
                async with asyncio.timeout(within_s):
                    return await connect(node, **options)
            except TimeoutError as error:
                log.debug("node %s is not connected to within %g s", node, within_s)
                if (broker := client.cluster.broker_metadata(node)) is not None:
                    silent = UnreachableError(broker.host, broker.port, error)
                    silent.__cause__ = error
                    note_cause(silent)
        client.force_metadata_update()  # It may have moved.
        return None

    client._get_conn = get_connection


def open_connection(client: AIOKafkaClient, node: int) -> MendedConnection | None:
    """The connection to a node; None where there is none at present."""
    connection: MendedConnection | None = client._conns.get((node, ConnectionGroup.DEFAULT))
    return connection if connection is not None and connection.connected() else None


async def bootstrap(client: AIOKafkaClient) -> None:
    """Connect a client, by the first of its servers that answers.

    Raises:
        KafkaConnectionError: none answers.
    """
    if len(client.hosts) > 1:
        patient_ms, client._request_timeout_ms = client._request_timeout_ms, IMPATIENT_MS
        try:
            await client.bootstrap()
        except KafkaConnectionError:
            pass
        else:
            return
        finally:
            client._request_timeout_ms = patient_ms
    await client.bootstrap()


async def connected_node(client: AIOKafkaClient) -> int | None:
    """Any broker that there is a connection to, made now where there was none; None: to none of them."""
    nodes = [broker.nodeId for broker in client.cluster.brokers()]
    for node in random.sample(nodes, len(nodes)):
        if await client.ready(node):
            return int(node)
    return None
