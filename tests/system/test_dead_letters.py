"""Dead letters: seen, given to their worker again, dropped; and read again by the bridge."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from bridge.commands import dlq as bridge_dlq
from bridge.normalize.normalizer import Normalizer
from bridge.normalize.received import Received
from bridge.query import parse_query
from consumers.commands import dlq as consumers_dlq
from tests.support.badge_model import badge_event, produce
from tests.support.broker import Broker
from tests.support.callbacks import RECALLED
from tests.support.topic import Topics, read_all
from tests.support.waiting import wait_until
from tests.support.workers import StartWorker

SOURCE = '''
import pathlib
from consumers.worker import Worker

HERE = pathlib.Path(__file__).parent

class Notes(Worker):
    """Cannot stomach events whose id begins with p while the file `broken` is there."""

    name = "notes"

    async def handle(self, batch):
        for message in batch:
            if message.event.id.startswith("p") and (HERE / "broken").exists():
                raise ValueError("cannot stomach this")
            with (HERE / "handled").open("a") as file:
                file.write(f"{message.event.id} {message.topic} {message.partition} {message.offset}\\n")
'''
BIN = Path(sys.executable).parent
PROGRAMS = {"consumers": consumers_dlq.app, "bridge": bridge_dlq.app}


class Office:
    """The commands, in the folder of the worker."""

    def __init__(self, folder: Path, broker: Broker, topics: Topics) -> None:
        self.folder = folder
        self.topics = topics
        self.broker = broker
        self.broken = folder / "broken"
        (folder / "notes.py").write_text(SOURCE)
        self.broken.touch()
        self.settings = {
            "COLUMNS": "300",
            "PYTHONPATH": str(folder),
            "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
            "CONSUMERS_TOPIC": topics.events,
            "CONSUMERS_DLQ_TOPIC": topics.dlq,
            "CONSUMERS_GROUP": f"notes.{topics.group}",
            "BRIDGE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
            "BRIDGE_TOPIC": topics.events,
            "BRIDGE_DLQ_TOPIC": topics.dlq,
        }
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("CONSUMERS_", "BRIDGE_"))},
            **self.settings,
        }

    def run(self, *arguments: str, program: str = "consumers", code: int = 0) -> str:
        """Run `<program> dlq …` in this process: a new one would take a second of CPU each time."""
        done = CliRunner().invoke(PROGRAMS[program], [*arguments])
        assert done.exit_code == code, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.stdout

    def listed(self, *filters: str) -> list[dict[str, str]]:
        return [orjson.loads(line) for line in self.run("list", "--json", *filters).splitlines()]

    @property
    def handled(self) -> list[str]:
        file = self.folder / "handled"
        return file.read_text().splitlines() if file.exists() else []

    def replay(self, *options: str, code: int = 0) -> str:
        return self.run("replay", "notes:Notes", *options, code=code)


@pytest.fixture
def office(
    tmp_path: Path, broker: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch, restored_logging: None
) -> Iterator[Office]:
    topics.create(broker.bootstrap, partitions=1)
    made = Office(tmp_path, broker, topics)
    for name, value in made.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield made
    sys.modules.pop("notes", None)


def test_dead_letters_are_listed_replayed_through_their_worker_alone_and_dropped(
    office: Office, start_worker: StartWorker
) -> None:
    process = start_worker("notes:Notes", office.broker.bootstrap, PYTHONPATH=str(office.folder))
    events = [badge_event("a", "ann", 1), badge_event("p1", "ann", 1), badge_event("p2", "bob", 1)]
    produce(office.broker.bootstrap, office.topics.events, [*events, b"no event"])
    process.wait_for(lambda: process.metric("consumers_dead_letters_total") == 3, what="three dead letters")
    assert process.terminate() == 0

    assert [one["subject"] for one in office.listed("--reason", "handler_failed")] == ["ann", "bob"]
    [one] = office.listed(
        "--account", "bob", "--type", "im.c2c.*", "--since", "1h", "--group", office.env["CONSUMERS_GROUP"]
    )
    assert (one["detail"], one["original-offset"]) == ("ValueError: cannot stomach this", "2")
    assert office.listed("--until", "1h") == office.listed("--command", "nothing") == []
    assert "cannot stomach this" in office.run("show", one["letter"])

    assert office.replay("--dry-run") == "3 would be replayed\n"
    assert office.replay("--reason", "handler_failed", code=1) == "0 replayed, 2 failed again and stay\n"
    assert len(office.listed()) == 3
    office.broken.unlink()
    before = read_all(office.broker.bootstrap, office.topics.events)
    assert office.replay("--account", "ann") == "1 replayed\n"
    assert office.handled[-1] == f"p1 {office.topics.events} 0 1", "id and origin are kept"
    assert read_all(office.broker.bootstrap, office.topics.events) == before, "no other group sees it again"
    assert office.replay("--account", "ann") == "0 replayed\n"

    assert office.run("drop", code=2) == ""
    assert office.run("drop", "--letter", one["letter"]) == "1 dropped\n"
    assert [left["reason"] for left in office.listed()] == ["not_an_event"]
    assert sorted(one["state"] for one in office.listed("--all")) == ["dropped", "open", "replayed"]
    assert office.run("drop", "--letter", one["letter"], code=1) == ""
    assert "p2" not in str(office.handled)


def test_a_replay_that_is_killed_goes_on_behind_what_it_has_done_and_keeps_its_rate(office: Office) -> None:
    office.broken.unlink()
    letters = [letter(office, f"p{number}", number) for number in range(12)]
    write(office, letters)
    began = time.monotonic()
    running = subprocess.Popen(
        [BIN / "consumers", "dlq", "replay", "notes:Notes", "--rate", "4"], env=office.env, cwd=office.folder
    )
    wait_until(lambda: len(office.handled) >= 5, timeout=20, what="five letters handled", every=0.02)
    assert time.monotonic() - began > 0.9, "five at four a second"
    running.kill()
    running.wait()
    done = len(read_all(office.broker.bootstrap, f"{office.topics.dlq}.done"))
    assert 4 <= done <= len(office.handled)
    assert office.replay() == f"{12 - done} replayed\n"
    assert {line.split()[0] for line in office.handled} == {f"p{number}" for number in range(12)}
    assert office.listed() == []


def test_the_bridge_reads_its_dead_letters_again_with_the_time_of_their_receipt(office: Office) -> None:
    normalizer = Normalizer(topic="", dlq_topic=office.topics.dlq, schema_base="urn:x:")
    query = parse_query(f"SdkAppid=1400000000&CallbackCommand={RECALLED}&OptPlatform=iOS&Sign=abc&RequestTime=1")
    good = Received(query, b'{"To_Account":"ann","From_Account":"bob","MsgKey":"1_2_3"}', 1_700_000_000_123_000_000)
    bad = Received(query, b"\x00 no JSON", 1_700_000_001_000_000_000)
    records = [normalizer.dead_letter(good, "stale_time", "late"), normalizer.dead_letter(bad, "not_json", "no JSON")]
    write(office, [(record.key, record.value, record.headers) for record in records])
    assert [one["group"] for one in office.listed()] == ["ingress", "ingress"]
    assert [one["reason"] for one in office.listed("--account", "ann")] == ["stale_time"]
    assert office.run("replay", "--dry-run", program="bridge", code=1).startswith("0 would become events, 1 cannot")
    assert office.run("replay", "--reason", "stale_time", program="bridge") == "1 became events\n"
    [message] = read_all(office.broker.bootstrap, office.topics.events)
    assert message.event["receivedtime"] == message.event["time"] == "2023-11-14T22:13:20.123Z"
    assert (message.key, message.timestamp) == (b"ann", 1_700_000_000_123)
    [expected] = normalizer.event(good)
    assert message.event["id"] == orjson.loads(expected.value)["id"]
    assert office.run("replay", program="bridge", code=1) == "0 became events, 1 cannot be read yet and stay\n"
    assert [one["reason"] for one in office.listed()] == ["not_json"]


def letter(office: Office, event_id: str, offset: int) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    headers = [
        ("content-type", b"application/cloudevents+json"),
        ("reason", b"handler_failed"),
        ("group", office.env["CONSUMERS_GROUP"].encode()),
        ("original-topic", office.topics.events.encode()),
        ("original-partition", b"0"),
        ("original-offset", b"%d" % offset),
        ("original-timestamp", b"1700000000000"),
    ]
    return b"ann", orjson.dumps(badge_event(event_id, "ann", 1)), headers


def write(office: Office, letters: list[tuple[bytes, bytes, list[tuple[str, bytes]]]]) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": office.broker.bootstrap, "log_level": 0})
    for key, value, headers in letters:
        producer.produce(office.topics.dlq, value, key, headers=list(headers))
    assert not producer.flush(20)
