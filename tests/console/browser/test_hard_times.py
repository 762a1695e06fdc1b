"""The page while Kafka is killed, and while more comes than anybody can read, in a real browser and of a real Kafka."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from confluent_kafka import Producer

from bridge.console.live import MAX_KEPT_BYTES
from tests.conftest import MakeBroker
from tests.console.browser.conftest import WAIT_MS, Complaints, listen
from tests.support.broker import Broker
from tests.support.commands import BRIDGE
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.topic import Topics, create_topic, delete_topic

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EVENTS_PER_S = 10_000
FLOOD_S = 8
OUTAGE_MS = 90_000
MAX_GROWTH_BYTES = 3 * MAX_KEPT_BYTES + 150 * 1024 * 1024
"""What is kept of three topics, and what it takes to read and to tell."""


class Flood:
    """Events that are written to a topic, so many in a second."""

    def __init__(self, kafka: Broker, topic: str) -> None:
        self._producer = Producer(
            {"bootstrap.servers": kafka.bootstrap, "linger.ms": 20, "log_level": 0, "compression.type": "lz4"}
        )
        self._topic = topic
        self.count = 0

    def write(self, subject: str, key: str = "") -> None:
        """One event."""
        event: dict[str, Any] = {
            "specversion": "1.0",
            "type": "im.c2c.message.sent",
            "subject": subject,
            "source": "/tencent-im/1400000000",
        }
        event |= {"callbackcommand": "C2C.CallbackAfterSendMsg", "data": {"from_account": "bob", "text": "x" * 300}}
        self._producer.produce(self._topic, orjson.dumps(event), key or subject)
        self.count += 1

    def settle(self) -> None:
        """Have Kafka confirm all."""
        assert self._producer.flush(WAIT_MS / 1000) == 0

    def run(self) -> None:
        """As many as are wished, as evenly as the machine lets."""
        began = time.monotonic()
        while (passed_s := time.monotonic() - began) < FLOOD_S:
            for _ in range(int(passed_s * EVENTS_PER_S) - self.count):
                self.write(f"user-{self.count % 1000}")
            self._producer.poll(0.01)
        self.settle()


@pytest.fixture
def kafka(make_broker: MakeBroker) -> Broker:
    """A Kafka that may be hurt."""
    return make_broker().start()


@pytest.fixture
def console(kafka: Broker, topics: Topics, tmp_path: Path) -> Iterator[Process]:
    """The page of a Kafka to which nobody but the test writes."""
    topics.create(kafka.bootstrap)
    settings = {
        "BRIDGE_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "BRIDGE_TOPIC": topics.events,
        "BRIDGE_DLQ_TOPIC": topics.dlq,
        "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "CONSUMERS_REDIS_URL": "redis://127.0.0.1:9/0",
        "BRIDGE_JOURNAL_DIR": str(tmp_path / "journal"),
        "TMPDIR": str(tmp_path),
    }
    process = Process([BRIDGE, "console", "--port", str(free_port())], log=tmp_path / "console.log", env=settings)
    process.start()
    yield process
    process.close()


@pytest.fixture
def page(console: Process, browser: Browser, complaints: Complaints) -> Iterator[Page]:
    """The page of that console, which has to live without an error."""
    url = console.wait_for_log(r"^The page is at (http://127\.0\.0\.1:\d+/)$", timeout=60)[1]
    context = browser.new_context(locale="en-US", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(OUTAGE_MS)
    page = context.new_page()
    listen(page, url, complaints.told.append)
    page.goto(url)
    page.get_by_text("following").wait_for()
    yield page
    context.close()
    assert complaints.unexpected == []


def row(page: Page, subject: str) -> Any:
    return page.locator("table.rows tbody tr", has_text=subject).first


def test_when_kafka_is_killed_the_page_says_so_and_goes_on_by_itself(
    kafka: Broker, topics: Topics, page: Page, complaints: Complaints
) -> None:
    complaints.expected.append("503")
    before = Flood(kafka, topics.events)
    before.write("before")
    before.settle()
    row(page, "before").wait_for()
    kafka.kill()
    page.get_by_text("Kafka cannot be read").wait_for()
    assert row(page, "before").is_visible(), "what was read is still to be seen"
    page.keyboard.press("4")
    page.get_by_role("alert").filter(has_text="BRIDGE_KAFKA_BOOTSTRAP_SERVERS").first.wait_for()
    page.keyboard.press("1")
    kafka.start()
    after = Flood(kafka, topics.events)
    after.write("after")
    after.settle()
    row(page, "after").wait_for()
    page.get_by_text("Kafka cannot be read").wait_for(state="detached")


def test_when_the_console_is_killed_the_page_calls_nothing_well_and_goes_on_by_itself(
    console: Process, page: Page, complaints: Complaints
) -> None:
    complaints.expected += ["ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING"]
    page.keyboard.press("2")
    verdict = page.get_by_role("heading", level=1)
    verdict.filter(has_text="Not all is well").wait_for()
    console.kill()
    verdict.filter(has_text="What is now is not known").wait_for()
    page.get_by_text("The console does not answer").first.wait_for()
    console.start()
    verdict.filter(has_text="Not all is well").wait_for()
    page.get_by_text("The console does not answer").wait_for(state="detached")


def test_ten_thousand_events_a_second_are_sampled_and_neither_page_nor_server_falls_behind(
    kafka: Broker, topics: Topics, console: Process, page: Page
) -> None:
    flood = Flood(kafka, topics.events)
    flood.write("first")
    flood.settle()
    row(page, "first").wait_for()
    before_bytes = console.rss_bytes
    writing = threading.Thread(target=flood.run)
    writing.start()
    page.get_by_text("Too much to read: a sample is shown").wait_for()
    row(page, "user-").wait_for()
    page.get_by_role("button", name="Pause", exact=True).click()  # It does what one wants meanwhile.
    page.get_by_role("button", name="Go on", exact=True).click()
    page.get_by_label("Account or group").fill("user-7")
    row(page, "user-7").wait_for()
    assert page.locator("table.rows tbody tr").count() <= 300
    writing.join()
    assert flood.count > EVENTS_PER_S * FLOOD_S / 2, "the producer itself came to nothing"
    flood.write("user-7")
    page.get_by_role("button", name="Clear").click()
    flood.write("the last of all")
    flood.settle()
    row(page, "the last of all").wait_for()
    assert console.rss_bytes - before_bytes < MAX_GROWTH_BYTES
    page.get_by_text("0 per second", exact=False).wait_for()


def test_what_comes_to_a_topic_that_was_made_anew_is_shown(kafka: Broker, topics: Topics, page: Page) -> None:
    before = Flood(kafka, topics.events)
    for number in range(12):
        before.write(f"before-{number}", key="of one partition")
    before.settle()
    row(page, "before-0").wait_for()
    delete_topic(kafka.bootstrap, topics.events)
    create_topic(kafka.bootstrap, topics.events)
    after = Flood(kafka, topics.events)
    for number in range(6):  # At offsets that others had, and fewer: else nobody could tell that it is another topic.
        after.write(f"after-{number}", key="of one partition")
    after.settle()
    for number in range(6):
        row(page, f"after-{number}").wait_for()
