"""Several real Redis servers that belong together: a cluster of six nodes, and a primary that Sentinels watch."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.cluster import ClusterNode

from bridge.devstack.embedded import redis_binary
from consumers.badges.slots import SLOTS, slot_of
from tests.support.ports import claim, free_port
from tests.support.process import Process
from tests.support.redis import RedisServer
from tests.support.server import Host
from tests.support.waiting import wait_until

_NODE_TIMEOUT_MS = 5000
"""So long a node may stand still: a busy machine lets one wait for seconds, and its replica would take over unasked."""
_BUS_OFFSET = 10_000


class SetMember(RedisServer):
    """A server of a set, always a process: the addresses that they tell of each other are those of the machine."""

    def __init__(self, folder: Path, *options: str, binary: Path | None = None) -> None:
        super().__init__(folder, binary=binary or redis_binary())
        self._options = options
        self.client = redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def ask(self, *command: object) -> Any:
        """What it answers to a command."""
        return self.client.execute_command(*command)  # type: ignore[no-untyped-call]

    @property
    def _program(self) -> Path:
        assert self.binary is not None
        return self.binary

    def kill_in_step(self) -> None:
        """Kill a primary whose replicas have all that it has confirmed: it takes no write meanwhile."""
        self.ask("CLIENT", "PAUSE", 600_000, "WRITE")
        wait_until(self._is_in_step, timeout=30, what="replicas in step")
        self.kill()

    def _is_in_step(self) -> bool:
        told: dict[str, Any] = self.client.info("replication")
        replicas = [value for name, value in told.items() if name.removeprefix("slave").isdigit()]
        return bool(replicas) and all(one["offset"] == told["master_repl_offset"] for one in replicas)

    def close(self) -> None:
        """Kill it, and close the client of the test."""
        self.client.close()
        super().close()

    def _create(self) -> Host:
        self.folder.mkdir(parents=True, exist_ok=True)
        own = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        return Process([self._program, *own, *self._options], log=self.folder / "redis.log")


def _cluster_node(folder: Path, *options: str, binary: Path | None) -> SetMember:
    """A node with a port for the others that is free; before version 7 that cannot be chosen."""
    told = subprocess.run([binary or redis_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    if " v=6." not in told:
        return SetMember(folder, *options, "--cluster-port", str(free_port()), binary=binary)
    while not claim((node := SetMember(folder, *options, binary=binary)).port + _BUS_OFFSET):
        node.close()
    return node


class RedisCluster:
    """Three primaries with a replica each. `nodes` are the primaries as it begins, then their replicas."""

    def __init__(self, folder: Path, *, binary: Path | None = None) -> None:
        options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(_NODE_TIMEOUT_MS), "--appendonly", "yes"]
        options += ["--cluster-replica-validity-factor", "0", "--repl-diskless-sync-delay", "0"]
        self.nodes = [_cluster_node(folder / f"node-{number}", *options, binary=binary) for number in range(6)]

    @property
    def url(self) -> str:
        """The address of the settings."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def __enter__(self) -> Self:
        try:
            for node in self.nodes:
                node.start()
            self._form()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill all."""
        for node in self.nodes:
            node.close()

    def connect(self) -> redis.RedisCluster:
        """A client, whose answers are text. Raises RedisClusterException while it is not whole."""
        nodes = [ClusterNode("127.0.0.1", node.port) for node in self.nodes]  # type: ignore[no-untyped-call]
        return redis.RedisCluster(startup_nodes=nodes, decode_responses=True)

    def primary_of(self, slot: int) -> SetMember:
        """The node that has a slot now."""
        for node in self.nodes:
            if not node.running:
                continue
            with contextlib.suppress(redis.RedisError):
                for begin, end, primary, *_ in node.ask("CLUSTER SLOTS"):
                    if int(begin) <= slot <= int(end):
                        return next(one for one in self.nodes if one.port == int(primary[1]))
        raise AssertionError(f"no node has the slot {slot}")

    def move_slot(self, slot: int, target: SetMember) -> Iterator[None]:
        """Move a slot key by key, as an operator's tool does; it goes on at each step of the iterator."""
        source = self.primary_of(slot)
        source_id, target_id = (node.ask("CLUSTER", "MYID") for node in (source, target))
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
        yield
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, 2):
            source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            yield
        for node in (target, source):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)
        for node in self.nodes:
            if node.running and node.client.info("replication")["role"] == "master":
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", target_id)

    def find(self, key: str) -> SetMember:
        """The node that has a key."""
        return self.primary_of(slot_of(key.encode()))

    def wait_whole(self) -> None:
        """Wait until every running node says that all slots are served."""
        wait_until(
            lambda: all(node.ask("CLUSTER INFO").get("cluster_state") == "ok" for node in self.nodes if node.running),
            timeout=60,
            what="a cluster that serves all slots",
        )

    def _form(self) -> None:
        first = self.nodes[0]
        for node in self.nodes[1:]:
            bus = int(node.client.config_get("cluster-port").get("cluster-port") or node.port + _BUS_OFFSET)
            first.ask("CLUSTER", "MEET", "127.0.0.1", node.port, bus)
        for number, node in enumerate(self.nodes[:3]):
            begin, end = SLOTS * number // 3, SLOTS * (number + 1) // 3
            node.ask("CLUSTER", "ADDSLOTS", *range(begin, end))
        for primary, replica in zip(self.nodes[:3], self.nodes[3:], strict=True):
            identity = primary.ask("CLUSTER", "MYID")
            wait_until(
                lambda replica=replica, identity=identity: (
                    identity  # type: ignore[misc]
                    in str(replica.ask("CLUSTER NODES"))
                ),
                timeout=30,
                what="nodes that know each other",
            )
            replica.ask("CLUSTER", "REPLICATE", identity)
        self.wait_whole()
        for replica in self.nodes[3:]:
            wait_until(
                lambda replica=replica: replica.client.info("replication").get("master_link_status") == "up",  # type: ignore[misc]
                timeout=30,
                what="a replica in step",
            )


class SentinelSet:
    """A primary, a replica, and three Sentinels that replace the one with the other."""

    SERVICE = "badges"

    def __init__(self, folder: Path, *, binary: Path | None = None) -> None:
        self.servers = [
            SetMember(folder / f"server-{number}", "--repl-diskless-sync-delay", "0", binary=binary)
            for number in range(2)
        ]
        self.sentinels = [_Sentinel(folder / f"sentinel-{number}", binary=binary) for number in range(3)]

    @property
    def url(self) -> str:
        """The address of the settings."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{one.port}' for one in self.sentinels)}/{self.SERVICE}"

    def connect(self) -> redis.Redis:
        """A client of the primary, whose answers are text."""
        return self.primary.connect()

    @property
    def primary(self) -> SetMember:
        """The server that the Sentinels name now."""
        _, port = self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.SERVICE)
        return next(server for server in self.servers if server.port == int(port))

    def __enter__(self) -> Self:
        try:
            primary, replica = (server.start() for server in self.servers)
            replica.client.replicaof("127.0.0.1", str(primary.port))
            wait_until(
                lambda: replica.client.info("replication").get("master_link_status") == "up",
                timeout=30,
                what="a replica in step",
            )
            for sentinel in self.sentinels:
                sentinel.watch(self.SERVICE, primary.port)
                sentinel.start()
            wait_until(self._all_known, timeout=60, what="Sentinels that know each other and the replica")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill all."""
        for server in (*self.servers, *self.sentinels):
            server.close()

    def _all_known(self) -> bool:
        for sentinel in self.sentinels:
            told = sentinel.ask("SENTINEL", "MASTER", self.SERVICE)
            row = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
            if (int(row["num-slaves"]), int(row["num-other-sentinels"])) != (1, 2):
                return False
        return True


class _Sentinel(SetMember):
    def watch(self, service: str, port: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"dir {self.folder}",
            f"sentinel monitor {service} 127.0.0.1 {port} 2",
            f"sentinel down-after-milliseconds {service} {_NODE_TIMEOUT_MS}",
            f"sentinel failover-timeout {service} 3000",
        ]
        (self.folder / "sentinel.conf").write_text("\n".join(lines) + "\n")

    def _create(self) -> Host:
        command: list[str | Path] = [self._program, self.folder / "sentinel.conf", "--sentinel"]
        return Process(command, log=self.folder / "redis.log")
