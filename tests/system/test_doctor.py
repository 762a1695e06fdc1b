"""`bridge doctor` says what is wrong before it costs a callback."""

from __future__ import annotations

from pathlib import Path

from tests.support.broker import Broker
from tests.support.commands import run_bridge
from tests.support.decider import DecidingEndpoint
from tests.support.process import free_port
from tests.support.topic import Topics, create_topic


def doctor(folder: Path, **settings: str) -> tuple[int, str]:
    """Its exit status and all that it prints."""
    defaults = {
        "COLUMNS": "250",
        "BRIDGE_APPS": '{"1400000000":["s3cret"]}',
        "BRIDGE_JOURNAL_DIR": str(folder / "journal"),
        "BRIDGE_JOURNAL_MAX_BYTES": str(1024 * 1024),
        "BRIDGE_PORT": str(free_port()),
    }
    ended = run_bridge("doctor", cwd=folder, **{**defaults, **settings})
    assert "Traceback" not in ended.stderr
    assert "s3cret" not in ended.stdout + ended.stderr
    return ended.returncode, ended.stdout + ended.stderr


def test_all_is_well_on_a_real_broker(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    topics.create(broker.bootstrap)
    with DecidingEndpoint() as endpoint:
        status, shown = doctor(
            tmp_path,
            BRIDGE_KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap,
            BRIDGE_TOPIC=topics.events,
            BRIDGE_DLQ_TOPIC=topics.dlq,
            BRIDGE_DECISION_URLS=f'{{"*":"{endpoint.url()}"}}',
        )
    assert endpoint.events == [], "a question has effects"
    assert (status, "fault" in shown) == (0, False), shown
    assert "4 partitions" in shown


def test_each_fault_is_named_with_what_to_do(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    create_topic(broker.bootstrap, topics.events, config={"max.message.bytes": "1000"})
    (tmp_path / "journal").write_text("a file where a folder should be")
    status, shown = doctor(
        tmp_path,
        BRIDGE_APPS='{"1400000000":[]}',
        BRIDGE_KAFKA_BOOTSTRAP_SERVERS=broker.bootstrap,
        BRIDGE_TOPIC=topics.events,
        BRIDGE_DECISION_URLS='{"*":"http://me:s3cret@127.0.0.1:9/s3cret"}',
    )
    assert status == 1
    assert "BRIDGE_DECISION_URLS" in shown
    assert "Switch on authentication" in shown
    assert "BRIDGE_JOURNAL_DIR" in shown
    assert "raise its max.message.bytes" in shown


def test_a_broker_that_is_away_is_named(tmp_path: Path) -> None:
    status, shown = doctor(tmp_path, BRIDGE_KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{free_port()}")
    assert status == 1
    assert "nothing listens there" in shown


def test_that_no_app_is_set_is_a_finding_among_the_others(tmp_path: Path) -> None:
    status, shown = doctor(tmp_path, BRIDGE_APPS="")
    assert status == 1
    assert "BRIDGE_APPS is not set" in shown
    assert "nothing listens there" in shown
