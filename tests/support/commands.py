"""The project's own commands, started as an operator starts them."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

import orjson
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from bridge.audit.folder import FOLDER, read_folder_id
from bridge.audit.marks import NAME, SHARED_MEMORY
from bridge.devstack.service import environment
from tests.support.callbacks import APP_ID, TOKEN, PostedCallback
from tests.support.http import HttpReply, request
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.topic import Topics

_BIN = Path(sys.executable).parent  # not resolved: in a virtual environment the interpreter is a link
BRIDGE = _BIN / "bridge"


def run_bridge(
    *arguments: str | Path, stdin: str = "", cwd: Path | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run `bridge …` to its end, its settings these alone. Raises TimeoutExpired after three minutes."""
    return subprocess.run(
        [BRIDGE, *arguments],
        env=environment(settings),
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


class Command(Process):
    """A command with an admin port; it is up when `/readyz` says so."""

    def __init__(self, *command: str, log: Path, env: dict[str, str], admin_port: int) -> None:
        super().__init__([_BIN / command[0], *command[1:]], log=log, env=env)
        self.admin_port = admin_port

    @property
    def admin_url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return f"http://127.0.0.1:{self.admin_port}"

    def start_ready(self, timeout: float = 20) -> Self:
        """`start`, and wait until `GET /readyz` answers 200. Raises ProcessEndedError, TimeoutError."""
        self.start()
        self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout: float = 20) -> None:
        """Wait until `GET /readyz` answers 200. Raises ProcessEndedError, TimeoutError."""
        self.wait_for_http(f"{self.admin_url}/readyz", timeout=timeout)

    def samples(self) -> list[Sample]:
        """What `/metrics` shows now. Raises OSError when nobody answers."""
        text = request("GET", f"{self.admin_url}/metrics").body.decode()
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    def metrics(self) -> dict[str, float]:
        """What `/metrics` shows now, by `name` or `name{label="value",…}`, labels in alphabetical order."""
        return {_written(sample): sample.value for sample in self.samples()}

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all samples of that name which have these labels (and any others), 0 when there is none."""
        return sum(s.value for s in self.samples() if s.name == name and labels.items() <= s.labels.items())


PATIENT_MS = "1900"
"""So long a reply may take, that no callback is refused because a machine is busy."""
PATIENT_DECISION_MS = "1800"
"""The same for the endpoints that decide, which run in the process of the tests."""


class IngressProcess(Command):
    """`bridge serve`, with app 1400000000 and its token `token-a`, and patient; `settings` are added or replace."""

    def __init__(self, folder: Path, bootstrap: str, topics: Topics, **settings: str) -> None:
        self.port = free_port()
        admin_port = free_port()
        self.topics = topics
        self.journal_dir = folder / settings.get("BRIDGE_JOURNAL_DIR", "journal")
        env = {
            "BRIDGE_APPS": orjson.dumps({APP_ID: [TOKEN]}).decode(),
            "BRIDGE_HOST": "127.0.0.1",
            "BRIDGE_PORT": str(self.port),
            "BRIDGE_ADMIN_PORT": str(admin_port),
            "BRIDGE_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "BRIDGE_TOPIC": topics.events,
            "BRIDGE_DLQ_TOPIC": topics.dlq,
            "BRIDGE_AUDIT_TOPIC": topics.audit,
            "BRIDGE_JOURNAL_DIR": str(self.journal_dir),
            "BRIDGE_REPLY_DEADLINE_MS": PATIENT_MS,
            "BRIDGE_DECISION_DEADLINE_MS": PATIENT_DECISION_MS,
        }
        super().__init__("bridge", "serve", log=folder / "bridge.log", env={**env, **settings}, admin_port=admin_port)

    def close(self) -> None:
        """Leave nothing behind: neither processes nor the memory of those that were killed."""
        super().close()
        for path in marks_of(self.journal_dir):
            path.unlink(missing_ok=True)

    @property
    def server_pid(self) -> int:
        """The process that answers callbacks, where there is one: the child of the command's own."""
        (child,) = self.children()
        return child

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT/`, where callbacks are posted."""
        return f"http://127.0.0.1:{self.port}/"

    def post(
        self,
        callback: PostedCallback,
        *,
        app_id: str = APP_ID,
        token: str | None = TOKEN,
        timeout: float = 30,
        **query: str | int | None,
    ) -> HttpReply:
        """Post it, signed as `callbacks.signed_query` does. Raises OSError when nobody answers."""
        return self.post_raw(callback.signed(app_id=app_id, token=token, **query), callback.body, timeout=timeout)

    def has_published_all(self) -> bool:
        """Whether Kafka has confirmed all that was acknowledged."""
        metrics = self.metrics()
        return not (metrics["bridge_journal_bytes"] or metrics["bridge_memory_bytes"])

    def connection(self) -> socket.socket:
        """A connection to send on whatever bytes, without delay."""
        connection = socket.create_connection(("127.0.0.1", self.port), 60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def post_raw(self, query: str, body: bytes, *, timeout: float = 30) -> HttpReply:
        """Post exactly these bytes under exactly this query (with its `?`)."""
        return request("POST", self.url + query, body, timeout=timeout)


def marks_of(journal_dir: Path) -> list[Path]:
    """Memory in which processes of a folder mark what they acknowledge, and which outlives them."""
    folder_id = read_folder_id(journal_dir / FOLDER)
    return sorted(SHARED_MEMORY.glob(f"{NAME}-{folder_id}-*")) if folder_id else []


class WorkerProcess(Command):
    """`consumers run badges`; `settings` are added or replace."""

    def __init__(self, folder: Path, bootstrap: str, topics: Topics, redis_url: str, **settings: str) -> None:
        admin_port = free_port()
        env = {
            "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "CONSUMERS_TOPIC": topics.events,
            "CONSUMERS_DLQ_TOPIC": topics.dlq,
            "CONSUMERS_BADGES_TOPIC": topics.badges,
            "CONSUMERS_GROUP": topics.group,
            "CONSUMERS_REDIS_URL": redis_url,
            "CONSUMERS_ADMIN_PORT": str(admin_port),
        }
        command = ("consumers", "run", "badges")
        super().__init__(*command, log=folder / "worker.log", env={**env, **settings}, admin_port=admin_port)


def _written(sample: Sample) -> str:
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}" if labels else sample.name
