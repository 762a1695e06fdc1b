"""What `bridge doctor` does: tries everything that the ingress depends on, and changes nothing."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import uvloop
from aiokafka.conn import collect_hosts
from aiokafka.errors import KafkaError
from rich.text import Text
from yarl import URL

from bridge.commands.allowed_networks import examine_networks
from bridge.commands.finding import Finding
from bridge.http.server import listen
from bridge.settings import BridgeSettings, InspectionSettings
from bridge.settings.access import too_many_tokens
from common.kafka import diagnosis
from common.kafka.clients import admin_client
from common.kafka.topics import max_message_bytes
from common.settings import load_settings, meaning_of
from common.terminal import plural, show_table
from common.unreachable import why_unreachable

SYNC_COUNT = 20
SLOW_SYNC_MS = 50.0
CONNECT_TIMEOUT_S = 2.0
KAFKA_TIMEOUT_S = 5.0
ADVERTISED = (
    "The brokers send their clients to this address. Let them give one that is right here (their advertised.listeners),"
    " or make this one reachable"
)


def run() -> None:
    """Print what was found.

    Raises:
        SystemExit: with status 1, if there is a fault.
    """
    settings = load_settings(InspectionSettings)
    diagnosis.watch()
    if not uvloop.run(_examine(settings)):
        raise SystemExit(1)


Check = Callable[[InspectionSettings], Awaitable[Sequence[Finding]]]


async def _examine(settings: InspectionSettings) -> bool:
    """Run all checks and print them. Whether all is well."""
    checks: list[Check] = [_apps, examine_networks, _port, _journal, _kafka, _decisions]
    findings = [finding for check in checks for finding in await check(settings)]
    show_table(
        ("", "checked", "found"),
        [
            (Text("ok", "green") if finding.is_good else Text("fault", "red"), finding.subject, finding.detail)
            for finding in findings
        ],
    )
    return all(finding.is_good for finding in findings)


async def _apps(settings: InspectionSettings) -> list[Finding]:
    if not settings.apps:
        return [Finding("apps", False, f"BRIDGE_APPS is not set. {meaning_of(BridgeSettings, 'apps')}")]
    return [
        Finding(
            f"app {app}",
            bool(tokens),
            too_many_tokens(tokens) or plural(len(set(tokens)), "token")
            if tokens
            else "no token: anybody who knows the URL can post. Switch on authentication where the URL is set",
        )
        for app, tokens in settings.apps.items()
    ]


async def _port(settings: InspectionSettings) -> list[Finding]:
    subject = f"port {settings.port}"
    try:
        listen(settings.host, settings.port).close()
    except OSError:
        return [Finding(subject, True, "in use: by the ingress, if it runs; else by another program, see BRIDGE_PORT")]
    return [Finding(subject, True, "free")]


async def _journal(settings: InspectionSettings) -> list[Finding]:
    """Whether the folder can be written, tried on a file without a name: nothing is left there, nor made."""
    folder = settings.journal_dir
    subject = f"journal in {folder}"
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    try:
        syncs_ms = _syncs_ms(place)
        space = os.statvfs(place)
    except OSError as error:
        return [Finding(subject, False, f"cannot be written ({error.strerror}): see BRIDGE_JOURNAL_DIR")]
    free = space.f_bavail * space.f_frsize
    wanted = settings.journal_max_bytes * settings.workers
    median_ms = statistics.median(syncs_ms)
    advice = "" if median_ms < SLOW_SYNC_MS else ": give it a faster disk, see BRIDGE_JOURNAL_DIR"
    return [
        Finding(subject, True, "can be written" if folder.exists() else "not there yet; made at the start"),
        Finding(
            "syncs there",
            median_ms < SLOW_SYNC_MS,
            f"half of {SYNC_COUNT} took at most {median_ms:.1f} ms, the slowest {max(syncs_ms):.1f} ms; replies wait"
            f" for one while Kafka is away{advice}",
        ),
        Finding(
            "space for it",
            free > wanted,
            f"{free / 2**30:.1f} GiB free; the journals may take {wanted / 2**30:.1f} GiB (BRIDGE_JOURNAL_MAX_BYTES)",
        ),
    ]


def _syncs_ms(folder: Path) -> list[float]:
    """How long some syncs of a small write take."""
    took_ms = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNC_COUNT):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took_ms.append((time.perf_counter() - began) * 1000)
    return took_ms


async def _kafka(settings: InspectionSettings) -> list[Finding]:
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
            existing = {topic["topic"]: topic for topic in await admin.describe_topics()}
        topics = [await _topic(settings, topic.name, existing) for topic in settings.topics]
    except (KafkaError, OSError, TimeoutError, ValueError) as error:
        # Of a broker that cannot be reached enough is said already.
        return (
            faults
            or await _servers(settings)
            or [Finding(subject, False, _advised(settings, diagnosis.explain(error)))]
        )
    return [Finding(subject, True, "answers"), *await _servers(settings), *faults, *topics]


async def _servers(settings: InspectionSettings) -> list[Finding]:
    """A fault for each of several bootstrap servers that cannot be reached; a client is content with one that can."""
    servers = collect_hosts(settings.kafka_bootstrap_servers, randomize=False)
    if len(servers) == 1:
        return []
    problems = await asyncio.gather(*(_connection_problem(host, port) for host, port, _ in servers))
    return [
        Finding(f"server {host}:{port}", False, f"cannot be reached ({problem}): see BRIDGE_KAFKA_BOOTSTRAP_SERVERS")
        for (host, port, _), problem in zip(servers, problems, strict=True)
        if problem
    ]


def _advised(settings: InspectionSettings, problem: str) -> str:
    """What to do besides, where the problem is with another address than those that we were given."""
    given = [server.strip() for server in settings.kafka_bootstrap_servers.split(",")]
    is_elsewhere = re.search(r"(?<!_ssl\.c):\d", problem) and not any(server in problem for server in given)
    return f"{problem}. {ADVERTISED}" if is_elsewhere else problem


async def _broker(host: str, port: int) -> Finding | None:
    """A fault, if a broker cannot be reached at the address that it gives to its clients."""
    problem = await _connection_problem(host, port)
    if problem is None:
        return None
    return Finding(f"broker at {host}:{port}", False, f"cannot be reached ({problem}). {ADVERTISED}")


async def _connection_problem(host: str, port: int) -> str | None:
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


async def _decisions(settings: InspectionSettings) -> list[Finding]:
    """Whether something listens where before-callbacks are decided. It is not asked: a question has effects."""
    urls = {URL(url.get_secret_value()) for url in settings.decision_urls.values()}
    found = []
    for origin, host, port in sorted({(str(url.origin()), url.host or "", url.port or 0) for url in urls}):
        subject = f"decisions by {origin}"
        if (problem := await _connection_problem(host, port)) is None:
            found.append(Finding(subject, True, "something listens"))
        else:
            told = f"cannot be reached ({problem}): see BRIDGE_DECISION_URLS"
            until_then = f"until then BRIDGE_DECISION_ON_FAILURE holds: {settings.decision_on_failure}"
            found.append(Finding(subject, False, f"{told}; {until_then}"))
    return found


async def _topic(settings: InspectionSettings, name: str, existing: dict[str, Any]) -> Finding:
    subject = f"topic {name}"
    if name not in existing:
        wanted = next(topic for topic in settings.topics if topic.name == name)
        return Finding(subject, True, f"missing; created at the start, or: {wanted.command('…')}")
    limit = await max_message_bytes(settings.kafka_client(), name)
    partitions = len(existing[name]["partitions"])
    if limit is not None and limit < settings.max_body_bytes:
        return Finding(
            subject,
            False,
            f"takes records of {limit} bytes, but bodies may have {settings.max_body_bytes}:"
            f" raise its max.message.bytes to {settings.max_record_bytes}",
        )
    size = limit or "an unknown number of"
    return Finding(subject, True, f"{plural(partitions, 'partition')}, records of up to {size} bytes")
