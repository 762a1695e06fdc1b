"""Connections to several brokers are made at the same time, so that one of them that is silent holds up no other."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from typing import Any

from aiokafka import AIOKafkaClient


def connect_to_each_by_itself(client: AIOKafkaClient) -> None:
    """Let a client wait for a connection to one broker at a time, and not for one to any of them.

    aiokafka has one lock for all: while a broker that is frozen, or cut off, lets a connection wait for its whole
    time-out, nothing could be sent to those that are well and are not connected yet.
    """
    connect = client._get_conn
    locks: defaultdict[Any, asyncio.Lock] = defaultdict(asyncio.Lock)
    client._get_conn_lock_value = contextlib.nullcontext()

    async def get_connection(node: Any, **options: Any) -> Any:
        # Also where there is a connection: who came first sends first.
        async with locks[node]:
            return await connect(node, **options)

    client._get_conn = get_connection
