"""A container with fixed ports, by `testcontainers`, under the same verbs as a process."""

import gc
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

from tests.support.waiting import wait_until


@cache
def docker_answers() -> bool:
    """Whether a Docker engine answers within two seconds."""
    with warnings.catch_warnings():
        # Where nothing answers, the client leaves its socket to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            from testcontainers.core.docker_client import DockerClient

            client = DockerClient(timeout=2).client
            answered = bool(client.ping())
            client.close()
        except Exception:  # noqa: BLE001  what a missing engine raises depends on how the machine reaches it
            answered = False
        gc.collect()
        return answered


def pull(image: str) -> None:
    """Have `image` on the engine, and the one that testcontainers cleans up with unless it is switched off.

    Raises docker.errors.APIError when one is neither there nor to be had.
    """
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.docker_client import DockerClient

    helpers = [] if testcontainers_config.ryuk_disabled else [testcontainers_config.ryuk_image]
    client = DockerClient().client
    try:
        for name in (image, *helpers):
            if not client.images.list(name):
                client.images.pull(name)
    finally:
        client.close()


class Container:
    """One container, which can be started again with the files it has.

    Each of `ports` is the same inside and on 127.0.0.1 outside. `data_of` takes over the volumes of another container.
    """

    def __init__(
        self,
        image: str,
        *,
        ports: list[int],
        env: Mapping[str, str] | None = None,
        command: list[str] | None = None,
        data_of: "Container | None" = None,
    ) -> None:
        from testcontainers.core.container import DockerContainer

        self._container = DockerContainer(image, env=dict(env or {}))
        if command:
            self._container.with_command(command)
        if data_of:
            self._container.with_kwargs(volumes_from=[data_of._raw.id])
        for port in ports:
            self._container.with_bind_ports(port, port)
        self._created = False

    def start(self) -> None:
        """Create it at the first call, later start it again. Raises docker.errors.APIError."""
        if self._created:
            self._raw.start()
        else:
            self._container.start()
            self._created = True

    @property
    def running(self) -> bool:
        """Whether its main process is alive, frozen or not."""
        return self._created and self._status() in {"running", "paused"}

    def terminate(self, timeout: float = 30) -> int:
        """SIGTERM; the exit code."""
        self._raw.stop(timeout=int(timeout))
        return int(self._raw.wait()["StatusCode"])

    def kill(self) -> None:
        """SIGKILL, also while frozen; returns when it has ended."""
        if not self.running:
            return
        if self._status() == "paused":
            self.thaw()
        self._raw.kill()
        wait_until(lambda: not self.running, timeout=10, what="the end of the container")

    def freeze(self) -> None:
        """Stop every process in it, as SIGSTOP does."""
        self._raw.pause()
        wait_until(lambda: self._status() == "paused", timeout=10, what="the container paused")

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._raw.unpause()
        wait_until(lambda: self._status() == "running", timeout=10, what="the container running")

    def close(self) -> None:
        """Remove it with its volumes; may be called more than once."""
        if self._created:
            self._container.stop()
            self._created = False

    def tail(self, lines: int = 30) -> str:
        """The end of its log."""
        return str(self._raw.logs(tail=lines).decode(errors="replace")) if self._created else ""

    @property
    def _raw(self) -> Any:
        return self._container.get_wrapped_container()

    def _status(self) -> str:
        self._raw.reload()
        return str(self._raw.status)
