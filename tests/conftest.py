"""The servers and commands that tests ask for by name, and an honest account of what could not be tested."""

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import hypothesis
import pytest

from bridge.devstack import ports
from common.kafka import diagnosis
from tests.support.broker import Broker
from tests.support.commands import IngressProcess, WorkerProcess
from tests.support.im_platform import ImPlatform
from tests.support.needed_kafka import NeededKafka
from tests.support.ports import OF_TESTS
from tests.support.process import ProcessEndedError
from tests.support.progress import Progress
from tests.support.redis import RedisServer
from tests.support.topic import Topics
from tests.support.workers import StartWorker, started_workers

# How long an example takes says more about what else the machine does than about the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")

QUIET = -1
"""The verbosity of pyproject.toml: whoever adds `-v` or `-q` gets the output of pytest itself."""


def pytest_configure(config: pytest.Config) -> None:
    for name in ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"):
        # With the first every command starts three times as slow, and users have neither.
        os.environ.pop(name, None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in the background of a script: all that tests start would have no Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(NeededKafka(config))
    ports.PORTS = OF_TESTS
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        # A port that is free for a moment, its server killed, must not be taken by the tests beside.
        workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        ports.PORTS = ports.PORTS[int(worker.removeprefix("gw")) :: workers]
    elif config.get_verbosity() == QUIET:
        config.pluginmanager.register(Progress(config))


@pytest.fixture(autouse=True)
def no_cause_of_another_test() -> None:
    """What failed a moment ago is remembered by the process, to say why Kafka cannot be reached."""
    diagnosis._causes._noted_at = float("-inf")


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The Kafka that tests share. Leave it healthy: a test that hurts its broker takes `own_broker`."""
    with Broker(tmp_path_factory.mktemp("broker")) as shared:
        yield shared


class MakeBroker(Protocol):
    """Makes brokers with settings of their own; closed at the end of the test, not started yet."""

    def __call__(
        self, *, extra_properties: dict[str, str] | None = None, extra_listeners: dict[str, int] | None = None
    ) -> Broker: ...


@pytest.fixture
def make_broker(tmp_path: Path) -> Iterator[MakeBroker]:
    made: list[Broker] = []

    def make(
        *, extra_properties: dict[str, str] | None = None, extra_listeners: dict[str, int] | None = None
    ) -> Broker:
        folder = tmp_path / f"broker-{len(made)}"
        made.append(Broker(folder, extra_properties=extra_properties, extra_listeners=extra_listeners))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def spare_brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Broker]]:
    """Those of `own_broker` that can serve another test: no more than one."""
    spare: list[Broker] = []
    yield spare
    for one in spare:
        one.close()


@pytest.fixture
def own_broker(spare_brokers: list[Broker], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A Kafka that no other test uses meanwhile, started: to be killed, frozen, moved.

    It may have been frozen by tests before, and have their topics; one that was killed or stopped is not used again.
    """
    broker = spare_brokers.pop() if spare_brokers else Broker(tmp_path_factory.mktemp("own-broker")).start()
    try:
        yield broker
    finally:
        try:
            healed = broker.heal()
        except (TimeoutError, ProcessEndedError):
            healed = False
        if healed:
            spare_brokers.append(broker)
        else:
            broker.close()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The Redis that tests share; keys are kept apart by their account names."""
    with RedisServer(tmp_path_factory.mktemp("redis")) as shared:
        yield shared


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for one test, started: to be killed and frozen."""
    with RedisServer(tmp_path / "redis") as own:
        yield own


@pytest.fixture
def topics() -> Topics:
    """Topic and group names of this test alone; not created yet."""
    return Topics.unique()


class MakeIngress(Protocol):
    """Starts `bridge serve` on `kafka` (a running broker, whose topics are created, or any bootstrap address).

    Several in one test share the topics and have ports and folders of their own. With `ready=False` it is started
    but not awaited. `settings` are `BRIDGE_…` variables.
    """

    def __call__(self, kafka: Broker | str, *, ready: bool = True, **settings: str) -> IngressProcess: ...


@pytest.fixture
def ingress(tmp_path: Path, topics: Topics) -> Iterator[MakeIngress]:
    made: list[IngressProcess] = []

    def make(kafka: Broker | str, *, ready: bool = True, **settings: str) -> IngressProcess:
        folder = _folder(tmp_path, "ingress", len(made))
        made.append(IngressProcess(folder, _bootstrap(kafka, topics), topics, **settings))
        return made[-1].start_ready() if ready else made[-1].start()

    yield make
    for one in made:
        one.close()


class MakeWorker(Protocol):
    """Starts `consumers run badges`, as `MakeIngress` does; several in one test are one consumer group."""

    def __call__(
        self, kafka: Broker | str, redis: RedisServer | str, *, ready: bool = True, **settings: str
    ) -> WorkerProcess: ...


@pytest.fixture
def worker(tmp_path: Path, topics: Topics) -> Iterator[MakeWorker]:
    made: list[WorkerProcess] = []

    def make(kafka: Broker | str, redis: RedisServer | str, *, ready: bool = True, **settings: str) -> WorkerProcess:
        folder = _folder(tmp_path, "worker", len(made))
        url = redis if isinstance(redis, str) else redis.url
        made.append(WorkerProcess(folder, _bootstrap(kafka, topics), topics, url, **settings))
        return made[-1].start_ready() if ready else made[-1].start()

    yield make
    for one in made:
        one.close()


@pytest.fixture
def start_worker(tmp_path: Path, topics: Topics) -> Iterator[StartWorker]:
    """Starts `consumers run NAME`, any of the workers; see `started_workers`."""
    with started_workers(tmp_path, topics) as start:
        yield start


@pytest.fixture
def platform() -> Iterator[ImPlatform]:
    """The platform's REST API, served in this process."""
    with ImPlatform() as server:
        yield server


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """For a test that runs a command in this process: logging is afterwards as it was."""
    root, client = logging.getLogger(), logging.getLogger("aiokafka")
    handlers, level, client_level = root.handlers[:], root.level, client.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    client.setLevel(client_level)


def _bootstrap(kafka: Broker | str, topics: Topics) -> str:
    if isinstance(kafka, str):
        return kafka
    if kafka.running:
        topics.create(kafka.bootstrap)
    return kafka.bootstrap


def _folder(parent: Path, name: str, number: int) -> Path:
    folder = parent / f"{name}-{number}"
    folder.mkdir()
    return folder
