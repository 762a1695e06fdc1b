"""What a `doctor` command finds about Kafka: it is asked as our clients ask it, nothing is changed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka.conn import collect_hosts
from aiokafka.errors import KafkaError

from common.finding import Finding
from common.kafka import diagnosis
from common.kafka.clients import admin_client
from common.secret_files import variable_name
from common.settings import Settings
from common.unreachable import why_unreachable

CONNECT_TIMEOUT_S = 2.0
KAFKA_TIMEOUT_S = 5.0
ADVERTISED = (
    "The brokers send their clients to this address. Let them give one that is right here (their advertised.listeners),"
    " or make this one reachable"
)

ExamineTopic = Callable[[int | None], Awaitable[Finding]]
"""What is to be said of a topic with so many partitions; None: it does not exist."""


async def examine_kafka(settings: Settings, topics: Mapping[str, ExamineTopic]) -> list[Finding]:
    """Whether the brokers can be reached, and what is to be said of each topic that is needed.

    Args:
        settings: of the connection.
        topics: name → what to say of it.
    """
    subject = f"Kafka at {settings.kafka_bootstrap_servers}"
    faults: list[Finding] = []
    try:
        client = settings.kafka_client()
    except OSError as error:
        return [Finding(subject, False, str(error))]
    try:
        async with admin_client(client, request_timeout_s=KAFKA_TIMEOUT_S) as admin:
            brokers = (await admin.describe_cluster())["brokers"]
            faults = [fault for broker in brokers if (fault := await _broker(broker["host"], broker["port"]))]
            existing: dict[str, Any] = {topic["topic"]: topic for topic in await admin.describe_topics()}
        found = [
            await examine(len(existing[name]["partitions"]) if name in existing else None)
            for name, examine in topics.items()
        ]
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        # Of a broker that cannot be reached enough is said already.
        return (
            faults
            or await _servers(settings)
            or [Finding(subject, False, _advised(settings, diagnosis.explain(error)))]
        )
    return [Finding(subject, True, "answers"), *await _servers(settings), *faults, *found]


async def connection_problem(host: str, port: int) -> str | None:
    """Why nobody can connect there; None: somebody can."""
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no answer within {CONNECT_TIMEOUT_S:.0f} s"
    except OSError as error:
        return why_unreachable(error)
    writer.close()
    return None


async def _servers(settings: Settings) -> list[Finding]:
    """A fault for each of several bootstrap servers that cannot be reached; a client is content with one that can."""
    servers = collect_hosts(settings.kafka_bootstrap_servers, randomize=False)
    if len(servers) == 1:
        return []
    variable = variable_name(type(settings), "kafka_bootstrap_servers")
    problems = await asyncio.gather(*(connection_problem(host, port) for host, port, _ in servers))
    return [
        Finding(f"server {host}:{port}", False, f"cannot be reached ({problem}): see {variable}")
        for (host, port, _), problem in zip(servers, problems, strict=True)
        if problem
    ]


def _advised(settings: Settings, problem: str) -> str:
    """What to do besides, where the problem is with another address than those that we were given."""
    given = [server.strip() for server in settings.kafka_bootstrap_servers.split(",")]
    is_elsewhere = re.search(r"(?<!_ssl\.c):\d", problem) and not any(server in problem for server in given)
    return f"{problem}. {ADVERTISED}" if is_elsewhere else problem


async def _broker(host: str, port: int) -> Finding | None:
    """A fault, if a broker cannot be reached at the address that it gives to its clients."""
    problem = await connection_problem(host, port)
    if problem is None:
        return None
    return Finding(f"broker at {host}:{port}", False, f"cannot be reached ({problem}). {ADVERTISED}")
