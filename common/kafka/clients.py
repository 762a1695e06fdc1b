"""What every Kafka client of ours is made of, and the administration client, which is used for a moment each time.

What touches the private names of aiokafka is in this folder only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaClient
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from common.asyncio_tools import finish
from common.kafka.separate_connections import bootstrap, connect_to_each_by_itself, connected_node

ClientArguments = dict[str, Any]
"""Servers, protocol and credentials, as every client of aiokafka takes them; see `Settings.kafka_client`."""

MakeClientArguments = Callable[[], ClientArguments]
"""`Settings.kafka_client` itself: called for each client."""

METADATA_MAX_AGE_MS = 30_000
"""How old what a producer or a consumer of a group knows of brokers and leaders may become."""
_CLOSE_TIMEOUT_S = 1.0


class _Admin(AIOKafkaAdminClient):  # type: ignore[misc]
    """Does not take for granted that some broker says it is the controller: an embedded one does not. Nor that each
    broker answers.
    """

    async def start(self) -> None:
        connect_to_each_by_itself(self._client)
        await bootstrap(self._client)
        self._started = True

    async def _send_request(self, request: Any, node_id: int | None = None) -> Any:
        node = await connected_node(self._client) if node_id is None else node_id
        return await super()._send_request(request, node)

    async def _send_to_controller(self, request: Any) -> Any:
        if self._client.cluster.controller is None:
            await self._client.force_metadata_update()
        if self._client.cluster.controller is None:
            return await self._send_request(request)
        return await super()._send_to_controller(request)


@asynccontextmanager
async def admin_client(arguments: ClientArguments, *, request_timeout_s: float = 40.0) -> AsyncIterator[Any]:
    """A connected `AIOKafkaAdminClient`, closed with the block.

    Raises:
        KafkaConnectionError: no broker answers.
    """
    admin = _Admin(**arguments, request_timeout_ms=int(request_timeout_s * 1000))
    try:
        await admin.start()
        yield admin
    finally:
        await finish(admin.close(), within_s=_CLOSE_TIMEOUT_S)


async def can_connect(arguments: ClientArguments, *, timeout_s: float) -> bool:
    """Whether a client that is made now finds a broker that answers within `timeout_s`."""
    client = AIOKafkaClient(**arguments)
    try:
        async with asyncio.timeout(timeout_s):
            await bootstrap(client)
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await finish(client.close(), within_s=_CLOSE_TIMEOUT_S)
    return True
