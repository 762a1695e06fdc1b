"""Which tests need a real Kafka, which one they get, and an honest account of those that got none."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.support import broker, redis
from tests.support.broker import NoBrokerError

FIXTURES = {"broker", "own_broker", "make_broker"}
WORKER_OUTPUT = "not_run"


class NeededKafka:
    """A plugin; see the module. With several workers (`-n`) it is in each, and in the process that leads them."""

    def __init__(self, config: pytest.Config) -> None:
        config.addinivalue_line("markers", "broker: needs a real Kafka (added by itself to tests with such a fixture)")
        self._config = config
        self._missing = ""
        self._not_run: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Mark them."""
        for item in items:
            if isinstance(item, pytest.Function) and FIXTURES & set(item.fixturenames):
                item.add_marker("broker")

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self) -> None:
        """Download what servers need before the workers are there, which would wait for one of them."""
        self._choose()
        self._tell()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Download it now: later it would count into the time of the first test that uses it."""
        if self._config.option.collectonly or not any(item.get_closest_marker("broker") for item in session.items):
            return
        self._choose()
        if not self._is_worker:
            self._tell()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip what lacks a Kafka; on CI fail."""
        if not self._missing or not item.get_closest_marker("broker"):
            return
        self._not_run.append(item.nodeid)
        if os.environ.get("CI") == "true":
            pytest.fail(f"a real Kafka is needed here: {self._missing}", pytrace=False)
        pytest.skip(f"no real Kafka: {self._missing}")

    def pytest_sessionfinish(self) -> None:
        """A worker hands over what it has not run."""
        if self._is_worker:
            self._config.workeroutput[WORKER_OUTPUT] = self._not_run  # type: ignore[attr-defined]  # of xdist

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker has not run; one that crashed hands over nothing."""
        self._not_run += getattr(node, "workeroutput", {}).get(WORKER_OUTPUT, [])

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Name every test that was not run."""
        if self._not_run:
            line = f"Only the embedded broker was available ({self._missing}). Not run, for want of a real Kafka: "
            terminalreporter.write_line(line + ", ".join(sorted(self._not_run)), yellow=True)

    def _choose(self) -> None:
        try:
            broker.choose()
        except NoBrokerError as error:
            self._missing = str(error)

    def _tell(self) -> None:
        kafka = f"none, its tests are not run: {self._missing}" if self._missing else broker.description()
        writer = self._config.get_terminal_writer()
        writer.line(f"Kafka: {kafka}\nRedis: {redis.description()}")

    @property
    def _is_worker(self) -> bool:
        return hasattr(self._config, "workeroutput")
