"""`docker-compose.yml` under a project name and ports of its own, so that a stack in use is left alone."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import orjson

from bridge.devstack.service import environment
from tests.support.paths import ROOT
from tests.support.ports import free_port

_LABEL = "com.docker.compose"
_LEFT_BEHIND = """
from pathlib import Path
from bridge.journal.inspection import summaries
gone = [journal.backlogs for journal in summaries(Path("/var/lib/bridge")) if not journal.is_owned]
print(sum(backlog.records for backlogs in gone for backlog in backlogs))
"""


class ComposeError(Exception):
    """A docker command failed; the message is what it said."""


def _host_of(name: str) -> str:
    """Of who made a file: NUMBER-HOST-PID-RANDOM.journal, or the socket HOST-PID.status."""
    parts = name.split("-")
    return "-".join(parts[:-1] if name.endswith(".status") else parts[1:-2])


class ComposeStack:
    """The stack as somebody has it who has written no `.env`; it is removed, data and all, at the end of the block.

    Images are those that the environment names (`KAFKA_IMAGE=… make compose-test`), or the defaults.
    """

    def __init__(self) -> None:
        self.project = f"im-bridge-test-{uuid.uuid4().hex[:6]}"
        self.port = free_port()
        kafka_port = free_port()
        self.bootstrap = f"127.0.0.1:{kafka_port}"
        inherited = {name: value for name, value in environment({}).items() if not name.startswith("COMPOSE_")}
        self._env = {
            **inherited,
            "COMPOSE_ENV_FILES": os.devnull,
            "IM_BRIDGE_IMAGE": self.project,
            "BRIDGE_PORT": str(self.port),
            "KAFKA_PORT": str(kafka_port),
            "CONSOLE_PORT": str(free_port()),
        }

    def up(self, *, ingress: int, badges: int, build: bool = False) -> None:
        """`docker compose up` with so many containers; returns when all are healthy."""
        scale = [f"--scale=ingress={ingress}", f"--scale=badges={badges}"]
        self.compose("up", "--detach", "--wait", "--wait-timeout=300", *scale, *(["--build"] if build else []))

    def compose(self, *arguments: str) -> str:
        """What `docker compose …` prints. Raises ComposeError."""
        files = ["--file", str(ROOT / "docker-compose.yml"), "--project-name", self.project]
        return self._docker("compose", *files, *arguments)

    def containers(self, service: str) -> dict[int, str]:
        """The ids of the running containers of a service, by their numbers."""
        filters = [f"--filter=label={_LABEL}.project={self.project}", f"--filter=label={_LABEL}.service={service}"]
        lines = self._docker(
            "ps", "--no-trunc", *filters, f'--format={{{{.Label "{_LABEL}.container-number"}}}} {{{{.ID}}}}'
        )
        return {int(number): identity for number, identity in (line.split() for line in lines.splitlines())}

    def kill(self, service: str, number: int) -> None:
        """SIGKILL to every process of a container, which stays dead."""
        self._docker("kill", self.containers(service)[number])

    def journals(self) -> dict[str, str]:
        """Every journal and status socket of the journals' volume, with the host name of who made it."""
        names = self.execute("ingress", ["ls", "/var/lib/bridge"]).split()
        return {name: _host_of(name) for name in names if name.endswith((".journal", ".status"))}

    def left_behind(self) -> int:
        """How many records are in journals whose process is gone."""
        return int(self.execute("ingress", ["python", "-c", _LEFT_BEHIND]))

    def hosts(self, service: str) -> set[str]:
        """The host names of the running containers of a service."""
        return {identity[:12] for identity in self.containers(service).values()}

    def redis(self, commands: Sequence[str]) -> list[object]:
        """The replies of Redis, one to a command."""
        replies = self.execute("redis", ["redis-cli", "--json"], "\n".join(commands))
        return [orjson.loads(line) for line in replies.splitlines() if line]

    def execute(self, service: str, command: Sequence[str], stdin: str = "") -> str:
        """The output of a command in one of the containers of a service. Raises ComposeError."""
        return self._docker("exec", "--interactive", min(self.containers(service).items())[1], *command, stdin=stdin)

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(130))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout=20")
        if self._docker("images", "--quiet", self.project).strip():
            self._docker("rmi", self.project)

    def _docker(self, *arguments: str, stdin: str = "") -> str:
        try:
            done = subprocess.run(
                ["docker", *arguments], env=self._env, input=stdin, capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise ComposeError("there is no command `docker`") from error
        if done.returncode:
            raise ComposeError(f"docker {' '.join(arguments[:8])} …: {done.stderr.strip()[-4000:]}")
        return done.stdout
