"""What the servers the tests need (Kafka, Redis) have in common: they die and come back, on the same port."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Protocol, Self

from tests.support.process import ProcessEndedError
from tests.support.waiting import wait_until


class Host(Protocol):
    """What runs a server: a `Process` or a `Container`."""

    @property
    def running(self) -> bool:
        """Whether it is alive, frozen or not."""

    def start(self) -> object:
        """Start it, without waiting until it serves."""

    def terminate(self, timeout: float = ...) -> int:
        """SIGTERM; its exit code. Raises TimeoutError after `timeout` seconds."""

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""

    def freeze(self) -> None:
        """Stop its processes: connections stay open and nothing answers."""

    def thaw(self) -> None:
        """Let its processes go on after `freeze`."""

    def close(self) -> None:
        """Kill it and leave nothing behind."""

    def tail(self, lines: int = ...) -> str:
        """The last lines of its log."""


class Server(ABC):
    """A real server with a fixed port and data that survive its death. Calls return when their effect is to be seen."""

    port: int

    def __init__(self) -> None:
        self._host: Host | None = None
        self._starts = 0
        self._frozen = False

    @abstractmethod
    def _create(self) -> Host:
        """The process or container to start, made for the present port."""

    @abstractmethod
    def _ready(self) -> bool:
        """Whether clients are served right now; never raises for a server that is not there yet."""

    def start(self) -> Self:
        """Start and wait until clients are served. Raises TimeoutError, ProcessEndedError: with the log's end."""
        self._host = self._host or self._create()
        self._host.start()
        self._starts += 1
        self._wait_ready()
        return self

    @property
    def running(self) -> bool:
        """Whether it is alive, frozen or not."""
        return self._host is not None and self._host.running

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self._running_host.terminate(30)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._running_host.kill()

    def freeze(self) -> None:
        """Stop the processes: connections stay open and nothing answers."""
        self._running_host.freeze()
        self._frozen = True

    def thaw(self) -> None:
        """Undo `freeze`, and wait until clients are served again."""
        self._running_host.thaw()
        self._frozen = False
        self._wait_ready()

    def heal(self) -> bool:
        """Undo `freeze`; whether it is as it was after its first start, never stopped or killed since."""
        if not self.running or self._starts > 1:
            return False
        if self._frozen:
            self.thaw()
        return True

    def restart(self) -> Self:
        """`stop` if it runs, then `start`: same port, same data."""
        if self.running:
            self.stop()
        return self.start()

    def close(self) -> None:
        """Kill it and leave nothing behind; may be called at any time, more than once."""
        if self._host:
            self._host.close()
            self._host = None

    def _wait_ready(self) -> None:
        host = self._running_host

        def ready() -> bool:
            if not host.running:
                raise ProcessEndedError(
                    f"{type(self).__name__} on port {self.port} ended while starting\n{host.tail()}"
                )
            return self._ready()

        what = f"{type(self).__name__} on port {self.port} ready"
        wait_until(ready, timeout=60, what=lambda: f"{what}\n{host.tail()}")

    @property
    def _running_host(self) -> Host:
        assert self._host, f"{type(self).__name__} was never started"
        return self._host

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
