"""The whole project on one machine: embedded broker and Redis, the ingress, the worker for badges."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import aiohttp
import orjson
from pydantic import SecretStr

from bridge.devstack.embedded import EmbeddedBroker, EmbeddedRedis, check_installed
from bridge.devstack.guard import Workspace
from bridge.devstack.inherited import NOTHING_INHERITED, InheritedSettings
from bridge.devstack.ports import free_port
from bridge.devstack.service import Service, ServiceError, environment
from common.admin_address import listens_everywhere
from common.kafka.clients import ClientArguments

T = TypeVar("T")

EVENTS, DEAD_LETTERS, BADGES = "im.events", "im.events.dlq", "im.badges"
READY_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 4.0


@dataclass(frozen=True)
class Stack:
    """The running processes and where they are."""

    workspace: Workspace
    broker: EmbeddedBroker
    redis: EmbeddedRedis
    ingress: Service
    worker: Service
    url: str
    """Where callbacks are posted."""
    admin_url: str
    worker_admin_url: str
    journal_dir: Path
    ingress_settings: Mapping[str, str]
    """Environment variables of the ingress."""
    worker_settings: Mapping[str, str]
    """Those of the worker."""

    def kafka_client(self) -> ClientArguments:
        """Arguments for every Kafka client."""
        return {"bootstrap_servers": self.broker.bootstrap}

    @property
    def services(self) -> list[Service]:
        """All processes."""
        return [self.broker, self.redis, self.ingress, self.worker]

    async def ready(self, service: Service) -> None:
        """Wait until the ingress accepts callbacks, or the worker handles events.

        Raises:
            ServiceError: it does not.
        """
        url = f"{self.admin_url if service is self.ingress else self.worker_admin_url}/readyz"

        async def answers() -> bool | None:
            try:
                async with session.get(url) as response:
                    return response.status == HTTPStatus.OK or None
            except (aiohttp.ClientError, TimeoutError):
                return None

        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            await service.until(answers, what="get ready", timeout_s=READY_TIMEOUT_S)

    async def consumers(self, *arguments: str) -> tuple[int, bytes, str]:
        """Run a command `consumers …` to its end; its exit status, standard output and standard error."""
        settings = {"CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": self.broker.bootstrap, "CONSUMERS_REDIS_URL": self.redis.url}
        process = await asyncio.create_subprocess_exec(
            *command("consumers", *arguments),
            env=environment(settings),
            cwd=self.workspace.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode or 0, out, err.decode(errors="replace")

    async def while_running(self, work: Awaitable[T]) -> T:
        """The result of `work`, during which no process may end.

        Raises:
            ServiceError: one did.
        """
        task = asyncio.ensure_future(work)
        ends = {asyncio.ensure_future(service.ended()): service for service in self.services}
        try:
            await asyncio.wait({task, *ends}, return_when=asyncio.FIRST_COMPLETED)
            for end, service in ends.items():
                if end.done() and not task.done():
                    raise ServiceError(service, f"it ended with exit status {end.result()}")
            return task.result()
        finally:
            for one in (task, *ends):
                one.cancel()
            await asyncio.gather(task, *ends, return_exceptions=True)


@asynccontextmanager
async def running_stack(
    apps: Mapping[str, list[SecretStr]],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    inherited: InheritedSettings = NOTHING_INHERITED,
) -> AsyncIterator[Stack]:
    """Start the stack, hand it out once callbacks are accepted, and end it.

    Args:
        apps: whose callbacks are accepted.
        host, port: where; port 0: any that is free.
        inherited: settings of its processes besides their own.

    Raises:
        NotInstalledError: the extra `embedded` is not installed.
        ServiceError: a process does not start.
    """
    check_installed()
    with Workspace() as workspace:
        broker, redis = EmbeddedBroker(workspace), EmbeddedRedis(workspace)
        services: list[Service] = [broker, redis]
        try:
            for service in services:
                await service.start()
            for service in (broker, redis):
                await service.ready()
            stack = _stack(workspace, broker, redis, apps, host=host, port=port or free_port(), inherited=inherited)
            services += [stack.ingress, stack.worker]
            await stack.ingress.start()
            await stack.worker.start()
            await stack.while_running(stack.ready(stack.ingress))
            yield stack
        finally:
            await _stop(services)


def _stack(
    workspace: Workspace,
    broker: EmbeddedBroker,
    redis: EmbeddedRedis,
    apps: Mapping[str, list[SecretStr]],
    *,
    host: str,
    port: int,
    inherited: InheritedSettings,
) -> Stack:
    """The stack with an ingress and a worker that are not started yet."""
    tokens = {app: [token.get_secret_value() for token in tokens] for app, tokens in apps.items()}
    ingress_admin, worker_admin = free_port(), free_port()
    journal_dir = workspace.folder / "journal"
    ingress = {
        **inherited.ingress,
        "BRIDGE_APPS": orjson.dumps(tokens).decode(),
        "BRIDGE_HOST": host,
        "BRIDGE_PORT": str(port),
        "BRIDGE_ADMIN_HOST": "127.0.0.1",
        "BRIDGE_ADMIN_PORT": str(ingress_admin),
        "BRIDGE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "BRIDGE_TOPIC": EVENTS,
        "BRIDGE_DLQ_TOPIC": DEAD_LETTERS,
        "BRIDGE_JOURNAL_DIR": str(journal_dir),
        "BRIDGE_LOG_FORMAT": "text",
    }
    worker = {
        **inherited.worker,
        "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "CONSUMERS_REDIS_URL": redis.url,
        "CONSUMERS_TOPIC": EVENTS,
        "CONSUMERS_DLQ_TOPIC": DEAD_LETTERS,
        "CONSUMERS_BADGES_TOPIC": BADGES,
        "CONSUMERS_ADMIN_HOST": "127.0.0.1",
        "CONSUMERS_ADMIN_PORT": str(worker_admin),
        "CONSUMERS_LOG_FORMAT": "text",
    }
    return Stack(
        workspace=workspace,
        broker=broker,
        redis=redis,
        ingress=Service("ingress", command("bridge", "serve"), workspace, ingress),
        worker=Service("worker", command("consumers", "run", "badges"), workspace, worker),
        url=f"http://{reachable(host)}:{port}/",
        admin_url=f"http://127.0.0.1:{ingress_admin}",
        worker_admin_url=f"http://127.0.0.1:{worker_admin}",
        journal_dir=journal_dir,
        ingress_settings=ingress,
        worker_settings=worker,
    )


def reachable(host: str) -> str:
    """The host part of a URL by which this machine reaches what listens on `host`."""
    if not host or listens_everywhere(host):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def command(name: str, *arguments: str) -> list[str]:
    """How one of our programs, `bridge` or `consumers`, is started with these arguments."""
    # The scripts of the package may not be on the PATH, nor beside the interpreter.
    return [sys.executable, "-c", f"from {name}.cli import main; main()", *arguments]


async def _stop(services: list[Service]) -> None:
    """End all: first those that need the others, each pair side by side."""
    for some in (services[2:], services[:2]):
        await asyncio.gather(*(service.stop(STOP_TIMEOUT_S) for service in some))
