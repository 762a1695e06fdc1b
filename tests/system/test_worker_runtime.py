"""A worker of somebody else on the runtime: a real process on a real Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from common.kafka.partition import partitions_of
from tests.support.badge_model import badge_event, produce
from tests.support.broker import Broker
from tests.support.commands import Command
from tests.support.ports import free_port
from tests.support.topic import Topics, read_all

PARTITIONS = 4
SOURCE = '''
import asyncio, pathlib
from consumers.errors import RetryLater
from consumers.worker import Worker

HERE = pathlib.Path(__file__).parent

class Notebook(Worker):
    """Writes down what it handles; does as the files beside it say."""

    name = "notebook"

    async def handle(self, batch):
        for message in batch:
            event = message.event
            if event.id == "poison":
                raise ValueError("cannot stomach this")
            if event.id == "cancel" and not (HERE / "cancelled").exists():
                (HERE / "cancelled").touch()
                raise asyncio.CancelledError
            if event.id == "hang" and not (HERE / "go").exists():
                (HERE / "hangs").touch()
                await asyncio.Event().wait()
            if (HERE / "away").exists():
                raise RetryLater("the pen is away")
        with (HERE / "handled").open("a") as file:
            file.writelines(f"{message.event.id}\\n" for message in batch)
'''


class Notebook:
    """`consumers run notebook:Notebook` in a folder of its own."""

    def __init__(self, folder: Path, broker: Broker, topics: Topics, *, partitions: int = 1) -> None:
        self.folder = folder
        self.topics = topics
        self._broker = broker
        (folder / "notebook.py").write_text(SOURCE)
        topics.create(broker.bootstrap, partitions=partitions)
        port = free_port()
        self.process = Command(
            "consumers",
            "run",
            "notebook:Notebook",
            log=folder / "worker.log",
            admin_port=port,
            env={
                "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
                "CONSUMERS_TOPIC": topics.events,
                "CONSUMERS_DLQ_TOPIC": topics.dlq,
                "CONSUMERS_GROUP": topics.group,
                "CONSUMERS_ADMIN_PORT": str(port),
                "CONSUMERS_STOP_TIMEOUT_S": "5",
                "CONSUMERS_SESSION_TIMEOUT_MS": "6000",
            },
        )

    def produce(self, *ids: str, account: str = "ann") -> None:
        produce(self._broker.bootstrap, self.topics.events, [badge_event(name, account, 1) for name in ids])

    @property
    def handled(self) -> list[str]:
        file = self.folder / "handled"
        return file.read_text().split() if file.exists() else []

    def wait_for(self, *ids: str, timeout: float = 15) -> None:
        self.process.wait_for(lambda: set(ids) <= set(self.handled), timeout=timeout, what=f"{ids} handled")


@pytest.fixture
def notebook(tmp_path: Path, broker: Broker, topics: Topics) -> Iterator[Notebook]:
    made = Notebook(tmp_path, broker, topics)
    yield made
    made.process.close()


def test_an_event_that_a_worker_fails_on_is_a_dead_letter_and_stays_so_after_a_restart(
    notebook: Notebook, broker: Broker
) -> None:
    notebook.process.start_ready()
    notebook.produce("a", "poison", "b")
    produce(broker.bootstrap, notebook.topics.events, [b"no event", None])
    notebook.produce("c")
    notebook.wait_for("a", "b", "c")
    assert notebook.process.terminate() == 0
    notebook.process.start_ready()
    notebook.produce("d")
    notebook.wait_for("d")
    letters = read_all(broker.bootstrap, notebook.topics.dlq)
    reasons = [(dict(letter.headers)["reason"], dict(letter.headers)["original-offset"]) for letter in letters]
    assert sorted(reasons) == [(b"handler_failed", b"1"), (b"not_an_event", b"3"), (b"not_an_event", b"4")]
    [poisoned] = [letter for letter in letters if dict(letter.headers)["reason"] == b"handler_failed"]
    headers = dict(poisoned.headers)
    assert (headers["group"], headers["attempts"]) == (notebook.topics.group.encode(), b"3")
    assert headers["content-type"] == b"application/cloudevents+json", "the original headers are kept"
    assert orjson.loads(poisoned.value or b"")["id"] == "poison"
    assert notebook.handled == ["a", "b", "c", "d"], "nothing was handled twice"


def test_a_batch_that_was_not_finished_at_the_stop_comes_again(notebook: Notebook) -> None:
    notebook.process.start_ready()
    notebook.produce("a")
    notebook.wait_for("a")
    notebook.produce("b", "hang", "c")
    notebook.process.wait_for((notebook.folder / "hangs").exists, what="the work on the batch")
    assert notebook.process.terminate() == 0, "what hangs holds up the end for some seconds only"
    (notebook.folder / "go").touch()
    notebook.process.start_ready()
    notebook.wait_for("hang", "c")
    assert "b" in notebook.handled


def test_a_handler_that_cancels_itself_loses_nothing(notebook: Notebook) -> None:
    notebook.process.start_ready()
    notebook.produce("a", "cancel", "b")
    notebook.wait_for("a", "cancel", "b", timeout=30)


def test_a_partition_that_waits_is_kept_and_goes_on_when_it_can(notebook: Notebook) -> None:
    away = notebook.folder / "away"
    away.touch()
    notebook.process.start_ready()
    notebook.produce("a", "b")
    notebook.process.wait_for_log("waiting, nothing is lost: the pen is away")
    notebook.process.wait_for(
        lambda: notebook.process.metric("consumers_retries_total", cause="waiting") > 2, what="retries"
    )
    assert notebook.process.metric("consumers_waiting") == 1
    assert notebook.process.metric("consumers_oldest_unhandled_seconds") > 0
    notebook.process.wait_for(lambda: notebook.process.metric("consumers_lag_events") == 2, what="the lag of 2")
    away.unlink()
    notebook.wait_for("a", "b")
    notebook.process.wait_for(lambda: notebook.process.metric("consumers_waiting") == 0, what="no waiting")
    notebook.process.wait_for(lambda: notebook.process.metric("consumers_lag_events") == 0, what="no lag")


def test_a_partition_whose_events_take_for_ever_holds_up_no_other_one_of_its_worker(
    tmp_path: Path, broker: Broker, topics: Topics
) -> None:
    notebook = Notebook(tmp_path, broker, topics, partitions=PARTITIONS)
    accounts = [f"user-{number}" for number in range(30)]
    hot, *places = partitions_of([one.encode() for one in ("ann", *accounts)], PARTITIONS)
    others = [account for account, place in zip(accounts, places, strict=True) if place != hot]
    try:
        notebook.process.start_ready()
        notebook.produce("hang", *(f"hot-{number}" for number in range(5000)))
        notebook.process.wait_for((notebook.folder / "hangs").exists, what="the work that takes for ever")
        for account in others:
            notebook.produce(f"of-{account}", account=account)
        notebook.wait_for(*(f"of-{account}" for account in others), timeout=60)
        assert not [name for name in notebook.handled if name.startswith("hot")]
        (notebook.folder / "go").touch()
        assert notebook.process.terminate() == 0
        notebook.process.start_ready()
        notebook.wait_for("hang", "hot-4999", timeout=60)
    finally:
        notebook.process.close()


def test_a_worker_joins_when_its_topic_is_made(
    tmp_path: Path, broker: Broker, topics: Topics, notebook: Notebook, monkeypatch: Any
) -> None:
    late = Topics.unique()
    notebook.process.env["CONSUMERS_TOPIC"] = late.events
    notebook.process.start()
    notebook.process.wait_for_http(f"{notebook.process.admin_url}/readyz", status=503)
    late.create(broker.bootstrap, partitions=1)
    notebook.topics = late
    notebook.produce("a")
    notebook.wait_for("a")
