"""The whole project on one machine: embedded broker and Redis, the ingress, the worker for badges."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import aiohttp
import orjson
from pydantic import SecretStr

from bridge.children import Guard, Service, ServiceError, environment, free_port
from bridge.embedded import check_installed, start_broker, start_redis

T = TypeVar("T")

EVENTS, DEAD_LETTERS, BADGES = "im.events", "im.events.dlq", "im.badges"
READY_S = 20.0
STOP_S = 4.0


@dataclass(frozen=True)
class Stack:
    """The running processes and where they are."""

    guard: Guard
    broker: Service
    redis: Service
    ingress: Service
    worker: Service
    bootstrap: str
    redis_url: str
    url: str
    """Where callbacks are posted."""
    admin_url: str
    worker_admin_url: str

    @property
    def client(self) -> dict[str, Any]:
        """Arguments for clients of Kafka."""
        return {"bootstrap_servers": self.bootstrap}

    @property
    def services(self) -> list[Service]:
        """All processes."""
        return [self.broker, self.redis, self.ingress, self.worker]

    async def consumers(self, *arguments: str) -> tuple[int, bytes, str]:
        """Run a command `consumers …` to its end; its exit status, standard output and standard error."""
        settings = {"CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap, "CONSUMERS_REDIS_URL": self.redis_url}
        process = await asyncio.create_subprocess_exec(
            *_command("consumers", *arguments),
            env=environment(settings),
            cwd=self.guard.folder,
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
async def running(
    apps: Mapping[str, list[SecretStr]], *, host: str = "127.0.0.1", port: int = 0, clock_skew_s: int = 60
) -> AsyncIterator[Stack]:
    """Start the stack, hand it out once callbacks are accepted, and end it. `port` 0: any that is free.

    Raises:
        NotInstalledError: the extra `embedded` is not installed.
        ServiceError: a process does not start.
    """
    check_installed()
    port = port or free_port()
    with Guard() as guard:
        started: list[Service] = []
        try:
            broker, bootstrap = start_broker(guard)
            redis, redis_url = start_redis(guard)
            for service in (broker, redis):
                started.append(service)
                await service.start()
            ...
            yield stack
        finally:
            await _stop(started)
