"""The audit of a real ingress: through all that may happen to it nothing is called missing, and what it loses is."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.conftest import MakeIngress
from tests.support import lossy
from tests.support.audited_ingress import AuditedIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.load import Load
from tests.support.numbered import missing
from tests.support.reloading import wait_for_reload
from tests.support.topic import Topics, configure
from tests.support.workers import StartWorker


@pytest.fixture
def audited(own_broker: Broker, topics: Topics, ingress: MakeIngress, start_worker: StartWorker) -> AuditedIngress:
    return AuditedIngress(own_broker, topics, ingress, start_worker)


@pytest.mark.slow
def test_nothing_is_called_missing_through_kills_outages_restarts_and_reloads(audited: AuditedIngress) -> None:
    bridge = audited.start()
    audit = audited.start_audit()
    broker = audited.broker
    claimed: list[float] = []

    def check() -> None:
        claimed.append(audit.metric("consumers_audit_records", state="missing"))

    with Load(bridge.port, connections=16, rate=400) as load:
        for _ in range(2):
            load.wait_acknowledged(300)
            bridge.kill()
            bridge.start_ready()
            check()
        broker.freeze()
        load.wait_acknowledged(300)
        bridge.kill()
        bridge.start_ready()
        load.wait_acknowledged(300)
        broker.thaw()
        load.wait_acknowledged(300)
        check()
        audit.kill()
        os.kill(bridge.pid, signal.SIGHUP)
        wait_for_reload(bridge, 1, "done")
        audit.start_ready()
        load.wait_acknowledged(300)
        assert bridge.terminate(30) == 0
        bridge.start_ready()
        load.wait_acknowledged(300)
    told = audited.wait_complete(len(load.acknowledged))
    check()
    assert set(claimed) == {0}
    assert (told.counts.missing, told.counts.expired, told.gone) == (0, 0, [])
    assert told.counts.acknowledged >= len(load.acknowledged)
    assert told.silent == []


def test_what_a_broken_bridge_confirms_without_sending_it_is_missing(audited: AuditedIngress) -> None:
    bridge = audited.start(PYTHONPATH=str(Path(lossy.__file__).parent), TEST_LOSES="lost-user")
    audited.start_audit()
    for number in range(60):
        account = f"lost-user{number}" if number in {20, 21, 40} else f"user{number}"
        assert bridge.post(recalled(account, unread=1)).status == 200
    told = audited.wait(lambda told: told.counts.missing == 3)
    [life] = told.lives
    assert missing(told) == [(life.process, life.epoch, 21, 22), (life.process, life.epoch, 41, 41)]
    assert all(gap.topic == bridge.topics.events and gap.after and gap.before for gap in told.gaps)


def test_what_is_taken_out_of_a_journal_whose_process_was_killed_is_missing(audited: AuditedIngress) -> None:
    bridge = audited.start()
    audit = audited.start_audit()
    for number in range(10):
        assert bridge.post(recalled(f"before{number}", unread=1)).status == 200
    audited.broker.freeze()
    for number in range(20):
        assert bridge.post(recalled(f"kept{number}", unread=1)).status == 200
    bridge.kill()
    [journal] = bridge.journal_dir.glob("*.journal")
    with sqlite3.connect(journal) as connection:
        rows = [row for (row,) in connection.execute("SELECT seq FROM groups ORDER BY seq")]
        assert len(rows) >= 10
        # Of the first ones Kafka may have some, or get them when it goes on: they were on their way.
        connection.execute("DELETE FROM groups WHERE seq IN (?, ?)", rows[-6:-4])
    connection.close()
    audited.broker.thaw()
    bridge.start_ready()
    told = audited.wait(lambda told: told.counts.missing)
    audit.wait_for_log("records that were acknowledged are not on the topics")
    [gap] = [gap for gap in told.gaps if gap.kind == "missing"]
    [killed] = [one for one in told.lives if one.state == "killed"]
    assert (gap.process, gap.epoch) == (killed.process, killed.epoch)
    assert gap.count >= 2
    assert told.counts.arrived == 30 - gap.count
    assert not told.counts.waiting


def test_what_kafka_refuses_for_good_is_set_aside_and_its_announcement_is_there(audited: AuditedIngress) -> None:
    bridge = audited.start()
    audited.start_audit()
    assert bridge.post(recalled("first", unread=1)).status == 200
    audited.wait(lambda told: told.counts.arrived == 1)
    configure(audited.broker.bootstrap, bridge.topics.events, "max.message.bytes", "10000")
    for callback in (recalled("large", unread=1, Blob="x" * 20_000), recalled("last", unread=2)):
        assert bridge.post(callback).status == 200
    # Records are read before it is stated what became of the numbers between them.
    told = audited.wait(lambda told: told.counts.arrived == 3 and (told.counts.set_aside or told.counts.missing))
    assert (told.counts.set_aside, told.counts.missing, told.unnumbered) == (1, 0, 0)
