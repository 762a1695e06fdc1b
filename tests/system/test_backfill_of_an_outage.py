"""An outage of hours of the whole stack, made good by `consumers backfill` though it is killed, doubled and cut off."""

from __future__ import annotations

import collections
import random
import subprocess
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.devstack.service import environment
from consumers.archive.hour import Hour
from consumers.backfill.watch_state import WatchedChat, load_watched, save_watched
from tests.conftest import MakeIngress
from tests.support.backfills import CONSUMERS, Backfills, callback_of, id_of, past_hour
from tests.support.badges import badges_in_redis
from tests.support.broker import Broker
from tests.support.commands import Command
from tests.support.im_archive import c2c_line, group_line
from tests.support.im_platform import APP_ID, ImPlatform
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.topic import Topics, create_topic, read_all, wait_for_events
from tests.support.waiting import wait_until
from tests.support.workers import StartWorker

ACCOUNTS = [f"user{number}" for number in range(40)]
C2C_AN_HOUR, GROUPS_AN_HOUR = 700, 300
Line = dict[str, Any]


def lines_of(hours: list[Hour]) -> tuple[dict[Hour, list[Line]], dict[Hour, list[Line]]]:
    """Traffic of some hours, of both kinds; a third of the messages of groups have Random."""
    c2c = {
        hour: [
            c2c_line(hour, at * 10_000 + number, To_Account=ACCOUNTS[number % len(ACCOUNTS)])
            for number in range(C2C_AN_HOUR)
        ]
        for at, hour in enumerate(hours)
    }
    groups = {
        hour: [
            group_line(hour, at * 10_000 + number, **({"Random": (at * 10_000 + number) * 31} if number % 3 else {}))
            for number in range(GROUPS_AN_HOUR)
        ]
        for at, hour in enumerate(hours)
    }
    return c2c, groups


class KilledRuns:
    """Runs of a command that are killed."""

    def __init__(self, backfills: Backfills, span: tuple[str, ...], log: Path) -> None:
        self._env = environment({**backfills.env, "CONSUMERS_BACKFILL_EVENTS_PER_S": "900"})
        self._command = [str(CONSUMERS), "backfill", *span]
        self._log = log

    def start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, env=self._env, stdout=log, stderr=log)

    def kill_when(self, condition: Callable[[], object], what: str) -> None:
        run = self.start()
        try:
            wait_until(lambda: run.poll() is not None or condition(), timeout=60, what=what, every=0.02)
            assert run.poll() is None, self.told
        finally:
            run.kill()
            run.wait()

    @property
    def told(self) -> str:
        return self._log.read_text()


@pytest.fixture
def hours() -> list[Hour]:
    return [past_hour(ago) for ago in (6, 5, 4, 3)]


@pytest.mark.slow
def test_after_hours_of_an_outage_every_message_is_there_once_though_runs_are_killed_and_doubled(  # noqa: PLR0917 - fixtures
    own_broker: Broker,
    own_redis: RedisServer,
    topics: Topics,
    platform: ImPlatform,
    ingress: MakeIngress,
    start_worker: StartWorker,
    hours: list[Hour],
    tmp_path: Path,
) -> None:
    topics.create(own_broker.bootstrap, partitions=12)
    c2c, groups = lines_of(hours)
    bridge = ingress(own_broker)
    settings = {
        "CONSUMERS_REDIS_URL": own_redis.url,
        "CONSUMERS_IM_APPS": platform.credentials(),
        "CONSUMERS_RECONCILE_DELAY_S": "0",
    }
    badges = start_worker("badges", own_broker.bootstrap, **settings)
    unread: collections.Counter[str] = collections.Counter()
    for line in c2c[hours[0]]:
        unread[line["To_Account"]] += 1
        assert bridge.post(callback_of(line, UnreadMsgNum=unread[line["To_Account"]])).status == 200
    for line in groups[hours[0]]:
        changes = {} if "Random" in line else {"Random": line["MsgSeq"] * 31}
        assert bridge.post(callback_of(line, **changes)).status == 200
    came = C2C_AN_HOUR + GROUPS_AN_HOUR
    wait_for_events(own_broker.bootstrap, topics.events, lambda found: len(found) == came, timeout=60)
    badges.wait_for(lambda: counts_in(own_redis) == dict(unread), what="the badges before the outage", timeout=30)

    # Everything is off for three hours, without a farewell; the platform goes on.
    bridge.kill()
    badges.kill()
    own_redis.kill()
    own_broker.kill()
    for hour in hours:
        platform.archive.put(APP_ID, "c2c", hour, c2c[hour], files=3)
        platform.archive.put(APP_ID, "group", hour, groups[hour], files=2)
    for hour in hours[1:]:
        unread.update(line["To_Account"] for line in c2c[hour])
    platform.counts.update(unread)
    own_redis.start()
    own_broker.start()
    bridge = ingress(own_broker)
    badges.start_ready()
    start_worker("reconcile", own_broker.bootstrap, **settings)

    backfills = Backfills(tmp_path / "archive", own_broker.bootstrap, topics, platform)
    span = ("--from", hours[0].name, "--to", hours[-1].next().name)
    runs = KilledRuns(backfills, span, tmp_path / "killed.log")
    live = LiveTraffic(bridge, past_hour(0))
    with live:
        runs.kill_when(lambda: list(backfills.folder.glob("*/*/lock")), "the beginning of an hour")
        runs.kill_when(lambda: list(backfills.folder.glob("*/*/*.gz")), "a download")
        for more in (1, 600, 1800):
            runs.kill_when(partial(has_backfilled, own_broker, topics, more), f"{more} published messages")
        both = [runs.start(), runs.start()]
        codes = [run.wait(timeout=300) for run in both]
    assert set(codes) <= {0, 1}, runs.told
    assert "Traceback" not in runs.told
    backfills.run(hours[0], until=hours[-1])
    again = backfills.counts(hours[0], until=hours[-1])
    assert all(one.get("missing", 0) == 0 and one["archived"] == one["there"] for one in again)
    assert sum(one["archived"] for one in again) == 4 * came
    wanted = [id_of(callback_of(line)) for hour in hours for line in c2c[hour]]
    wanted += [id_of(callback_of(line)) for hour in hours for line in groups[hour] if "Random" in line]
    assert_once(own_broker.bootstrap, topics.events, [*wanted, *live.ids], 4 * came + len(live.ids))
    badges.wait_for(lambda: counts_in(own_redis) == dict(unread), what="the badges of the platform", timeout=60)


def assert_once(bootstrap: str, topic: str, wanted: list[str], count: int) -> None:
    """So many events are there, of no id two, and all of these ids."""
    ids = collections.Counter(message.event["id"] for message in read_all(bootstrap, topic, timeout=60))
    assert [one for one, times in ids.items() if times > 1] == []
    assert set(wanted) - ids.keys() == set()
    assert len(ids) == count


def has_backfilled(broker: Broker, topics: Topics, count: int) -> bool:
    messages = read_all(broker.bootstrap, topics.events, timeout=60)
    return sum(b'"backfilled":true' in (message.value or b"") for message in messages) >= count


def counts_in(server: RedisServer) -> dict[str, Any]:
    found = badges_in_redis(server, ACCOUNTS)
    return {account: badge["unread"] for account, badge in found.items() if not badge["stale"]}


class LiveTraffic:
    """Callbacks that come while it is backfilled, of people of their own."""

    def __init__(self, bridge: Any, hour: Hour) -> None:
        self.lines: list[Line] = []
        self._bridge = bridge
        self._hour = hour
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._post)

    @property
    def ids(self) -> list[str]:
        return [id_of(callback_of(line)) for line in self.lines]

    def _post(self) -> None:
        number = 500_000
        while not self._stop.wait(0.05):
            line = c2c_line(self._hour, number, To_Account="live")
            assert self._bridge.post(callback_of(line, UnreadMsgNum=1)).status == 200
            self.lines.append(line)
            number += 1

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self.lines


@pytest.mark.slow
def test_kafka_that_goes_away_in_the_midst_is_waited_for(
    own_broker: Broker, topics: Topics, platform: ImPlatform, hours: list[Hour], tmp_path: Path
) -> None:
    topics.create(own_broker.bootstrap, partitions=12)
    c2c, _ = lines_of(hours[:2])
    for hour, lines in c2c.items():
        platform.archive.put(APP_ID, "c2c", hour, lines)
    backfills = Backfills(tmp_path / "archive", own_broker.bootstrap, topics, platform)
    backfills.env["CONSUMERS_BACKFILL_EVENTS_PER_S"] = "400"
    span = ("--from", hours[0].name, "--to", hours[1].next().name, "--chat", "c2c")
    run = KilledRuns(backfills, span, tmp_path / "run.log").start()
    try:
        wait_until(
            lambda: len(read_all(own_broker.bootstrap, topics.events)) > 300, timeout=60, what="a part", every=0.2
        )
        own_broker.kill()
        time.sleep(random.uniform(1, 3))
        own_broker.start()
        assert run.wait(timeout=180) == 0, (tmp_path / "run.log").read_text()
    finally:
        run.kill()
    assert "Traceback" not in (tmp_path / "run.log").read_text()
    wanted = [id_of(callback_of(line)) for lines in c2c.values() for line in lines]
    assert_once(own_broker.bootstrap, topics.events, wanted, len(wanted))
    (first, second) = backfills.counts(hours[0], "--chat", "c2c", until=hours[1])
    assert (first.get("missing", 0), second.get("missing", 0)) == (0, 0)


@pytest.mark.slow
def test_a_watch_that_is_killed_while_it_publishes_goes_on_and_publishes_nothing_twice(
    broker: Broker, topics: Topics, platform: ImPlatform, ingress: MakeIngress, tmp_path: Path
) -> None:
    topics.create(broker.bootstrap, partitions=12)
    hour = past_hour(1)
    lines = [c2c_line(hour, number) for number in range(2000)]
    platform.archive.put(APP_ID, "c2c", hour, lines, files=2)
    bridge = ingress(broker)
    for line in lines[::10]:
        assert bridge.post(callback_of(line)).status == 200
    wait_for_events(broker.bootstrap, topics.events, lambda found: len(found) == 200)
    backfills = Backfills(tmp_path / "archive", broker.bootstrap, topics, platform)
    of_another = WatchedChat("1400000099", "group", past_hour(30).name, [past_hour(40).name])
    save_watched(backfills.folder, [of_another])
    port = free_port()
    env = {
        **backfills.env,
        "CONSUMERS_ADMIN_PORT": str(port),
        "CONSUMERS_BACKFILL_LOOK_EVERY_S": "1",
        "CONSUMERS_BACKFILL_EVENTS_PER_S": "400",
    }
    command = ("consumers", "backfill", "--watch", "--publish", "--chat", "c2c", "--from", hour.name)
    watch = Command(*command, log=tmp_path / "watch.log", env=env, admin_port=port)
    live = LiveTraffic(bridge, past_hour(0))
    try:
        with live:
            for more in (1, 700):
                watch.start()
                wait_until(partial(has_backfilled, broker, topics, more), timeout=60, what=f"{more} events", every=0.1)
                watch.kill()
            watch.start_ready()
            watch.wait_for_log(r"the platform sent 2,000, we have 2,000", timeout=60)
        assert watch.terminate() == 0
    finally:
        watch.close()
    wanted = [id_of(callback_of(line)) for line in lines]
    assert_once(broker.bootstrap, topics.events, [*wanted, *live.ids], 2000 + len(live.ids))
    assert "Traceback" not in watch.log.read_text()
    watched, left_alone = load_watched(backfills.folder)
    # The next hour may have ended meanwhile; its file is not made.
    assert hour.name not in watched.pending
    assert (watched.next >= hour.next().name, watched.missing) == (True, {})
    assert left_alone == of_another


def test_an_event_that_the_topic_does_not_take_costs_no_other_and_doubles_none(
    broker: Broker, topics: Topics, platform: ImPlatform, tmp_path: Path
) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=12, config={"max.message.bytes": "60000"})
    create_topic(broker.bootstrap, topics.dlq, partitions=1)
    hour = past_hour()
    lines = [c2c_line(hour, number) for number in range(400)]
    lines[200]["MsgBody"] = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x" * 100_000}}]
    platform.archive.put(APP_ID, "c2c", hour, lines)
    backfills = Backfills(tmp_path / "archive", broker.bootstrap, topics, platform)
    (count,) = backfills.counts(hour, "--chat", "c2c", code=1)
    assert (count["missing"], count["published"], count["too_large"]) == (400, 399, 1)
    assert "max.message.bytes" in count["problem"]
    wanted = [id_of(callback_of(line)) for line in lines if line["MsgSeq"] != 200]
    assert_once(broker.bootstrap, topics.events, wanted, 399)
