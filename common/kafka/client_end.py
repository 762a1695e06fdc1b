"""The end of a client of aiokafka whose brokers may be away: it comes soon, and leaves nothing behind."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakSet

from aiokafka import AIOKafkaClient

from common.asyncio_tools import finish

_CLOSE_TIMEOUT_S = 1.0
_abandoned: WeakSet[AIOKafkaClient] = WeakSet()


def refuse_connections_once_abandoned(client: AIOKafkaClient) -> None:
    """Let a connection that is under way when its client is abandoned be of no use: nobody else would close it."""
    connect = client._get_conn

    async def get_connection(*arguments: Any, **options: Any) -> Any:
        connection = await connect(*arguments, **options)
        if connection is not None and client in _abandoned:
            connection.close()
            return None
        return connection

    client._get_conn = get_connection


async def abandon_client(client: AIOKafkaClient) -> None:
    """Close all connections of a client. Who waits for an answer, or for newer metadata, gets an error, or no update.

    When this returns it sends nothing any more: what another client writes then cannot be followed by older records.
    """
    _abandoned.add(client)
    client.force_metadata_update = _no_metadata_update
    await finish(client.close(), within_s=_CLOSE_TIMEOUT_S)
    if (update := client._md_update_fut) is not None and not update.done():
        update.set_result(False)


def _no_metadata_update() -> asyncio.Future[bool]:
    outcome: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    outcome.set_result(False)
    return outcome
