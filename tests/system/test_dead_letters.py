"""Dead letters: seen, given to their worker again, dropped; and read again by the bridge."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from aiokafka import ConsumerRecord
from typer.testing import CliRunner

from bridge import cli as bridge_cli
from bridge.normalize.normalizer import Normalizer, Received
from bridge.query import parse_query
from common.kafka.dead_letters import DeadLetter, Filter, done_topic, parse_time
from consumers import cli as consumers_cli
from consumers.commands import replay
from consumers.commands.replay import Replay, Unusable, original
from consumers.errors import RetryLater
from consumers.settings import ConsumersSettings
from tests.support.badge_model import badge_event, produce
from tests.support.broker import Broker
from tests.support.callbacks import RECALLED
from tests.support.topic import Topics, read_all
from tests.support.workers import Make, started_workers

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
PROGRAMS = {"consumers": consumers_cli.app, "bridge": bridge_cli.app}


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
        done = CliRunner().invoke(PROGRAMS[program], ["dlq", *arguments])
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
def office(tmp_path: Path, broker: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    topics.create(broker.bootstrap, partitions=1)
    made = Office(tmp_path, broker, topics)
    for name, value in made.settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield made
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger("aiokafka").setLevel(logging.NOTSET)
    sys.modules.pop("notes", None)


@pytest.fixture
def start(tmp_path: Path, topics: Topics) -> Iterator[Make]:
    with started_workers(tmp_path, topics) as make:
        yield make


def test_dead_letters_are_listed_replayed_through_their_worker_alone_and_dropped(office: Office, start: Make) -> None:
    process = start("notes:Notes", office.broker.bootstrap, PYTHONPATH=str(office.folder))
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

    assert office.run("drop", code=1) == ""
    assert office.run("drop", "--letter", one["letter"]) == "1 dropped\n"
    assert [left["reason"] for left in office.listed()] == ["not_an_event"]
    assert len(office.listed("--all")) == 3
    assert "p2" not in str(office.handled)


def test_a_replay_that_is_killed_goes_on_behind_what_it_has_done_and_keeps_its_rate(office: Office) -> None:
    office.broken.unlink()
    letters = [letter(office, f"p{number}", number) for number in range(12)]
    write(office, letters)
    began = time.monotonic()
    running = subprocess.Popen(
        [BIN / "consumers", "dlq", "replay", "notes:Notes", "--rate", "4"], env=office.env, cwd=office.folder
    )
    while len(office.handled) < 5:
        assert time.monotonic() - began < 20
        time.sleep(0.02)
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
    assert office.run("replay", "--dry-run", program="bridge", code=1).startswith("1 would become events, 1 cannot")
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


def as_letter(headers: list[tuple[str, bytes]], value: bytes = b"{}") -> DeadLetter:
    return DeadLetter(ConsumerRecord("dlq", 3, 7, 1000, 0, b"ann", value, None, 0, 0, tuple(headers)))


def test_a_letter_becomes_the_record_that_it_was_with_its_own_headers_of_the_same_names() -> None:
    headers = [("reason", b"of the event itself"), ("traceparent", b"00-1"), ("reason", b"handler_failed")]
    origin = {"original-topic": b"t", "original-partition": b"2", "original-offset": b"9", "original-timestamp": b"5"}
    record = original(as_letter([*headers, ("group", b"g"), *origin.items()]))
    assert record.headers == (("reason", b"of the event itself"), ("traceparent", b"00-1"))
    assert (record.topic, record.partition, record.offset, record.timestamp) == ("t", 2, 9, 5)
    assert (record.key, record.value) == (b"ann", b"{}")


def test_a_letter_without_its_value_says_where_the_record_is() -> None:
    origin = {"original-topic": b"t", "original-partition": b"2", "original-offset": b"9", "value-omitted": b"true"}
    with pytest.raises(Unusable, match="t-2 offset 9"):
        original(as_letter([("group", b"g"), *origin.items()]))


async def test_a_letter_whose_marker_cannot_be_written_is_not_handled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    handled, refusals = [], [RetryLater("away"), RetryLater("away")]

    async def mark(_letter: DeadLetter, _outcome: str) -> None:
        if refusals:
            raise refusals.pop()

    async def handle(letter: DeadLetter) -> None:
        handled.append(letter.name)

    work = Replay(ConsumersSettings.model_validate({}), Filter())
    monkeypatch.setattr(replay, "backoff", lambda: iter([0.0] * 9))
    monkeypatch.setattr(work, "_mark", mark)
    await work._one(as_letter([]), handle, "replayed")
    assert handled == ["3-7"]
    assert not refusals
    assert work._outcome.done == 1


def test_a_marker_names_no_letter_of_a_topic_that_was_made_anew() -> None:
    first = as_letter([])
    anew = DeadLetter(ConsumerRecord("dlq", 3, 7, 2000, 0, b"ann", b"{}", None, 0, 0, ()))
    assert first.name == anew.name == "3-7"
    assert first.marker != anew.marker


def test_markers_are_kept_longer_than_letters_and_not_for_ever() -> None:
    topic = done_topic(ConsumersSettings.model_validate({"dlq_retention_hours": 24}).dead_letters)
    assert topic.name == "im.events.dlq.done"
    assert topic.configs == {"cleanup.policy": "compact,delete", "retention.ms": str(15 * 86_400_000)}


def test_times_are_absolute_or_so_long_ago() -> None:
    assert parse_time("2026-01-31T12:00") == parse_time("2026-01-31T13:00+01:00") == 1_769_860_800_000
    assert abs(parse_time("2h") - (time.time() - 7200) * 1000) < 5000
    with pytest.raises(ValueError, match="no time"):
        parse_time("yesterday")


def test_a_filter_admits_what_fits_all_of_it() -> None:
    value = orjson.dumps(badge_event("a", "ann", 1))
    found = as_letter([("group", b"badges"), ("reason", b"handler_failed")], value)
    assert Filter(type="im.c2c.*", account="ann", group="badges", reason="handler_failed", since_ms=1000).admits(found)
    for wrong in (Filter(type="im.group.*"), Filter(account="bob"), Filter(group="x"), Filter(until_ms=1000)):
        assert not wrong.admits(found)
