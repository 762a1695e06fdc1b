"""Other processes of `consumers` than the badges worker, started as an operator starts them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.commands import Command
from tests.support.ports import free_port
from tests.support.topic import Topics

StartWorker = Callable[..., Command]
"""See `started_workers`."""


@contextmanager
def started_workers(folder: Path, topics: Topics) -> Iterator[StartWorker]:
    """Gives a function that starts `consumers run NAME`; what it has started ends with the block.

    It takes the name, the bootstrap servers, and settings as `CONSUMERS_…` variables; with `ready=False` the process is
    started but not awaited. Several in one test share the topics, and those of one name the consumer group.
    """
    made: list[Command] = []

    def start(name: str, bootstrap: str, *, ready: bool = True, **settings: str) -> Command:
        admin_port = free_port()
        env = {
            "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "CONSUMERS_TOPIC": topics.events,
            "CONSUMERS_DLQ_TOPIC": topics.dlq,
            "CONSUMERS_BADGES_TOPIC": topics.badges,
            "CONSUMERS_GROUP": f"{name.partition(':')[0]}.{topics.group}",
            "CONSUMERS_ADMIN_PORT": str(admin_port),
            "CONSUMERS_SESSION_TIMEOUT_MS": "6000",
        }
        place = folder / f"{name.partition(':')[0]}-{len(made)}"
        place.mkdir()
        command = Command(
            "consumers", "run", name, log=place / "worker.log", env={**env, **settings}, admin_port=admin_port
        )
        made.append(command)
        return command.start_ready() if ready else command.start()

    try:
        yield start
    finally:
        for one in made:
            one.close()
