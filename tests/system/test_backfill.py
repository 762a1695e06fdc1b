"""`consumers backfill`: a stand-in for the platform and its archive, a real ingress, a real Kafka, a real Redis."""

from __future__ import annotations

import collections
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bridge.devstack.service import environment
from tests.conftest import MakeIngress
from tests.support.backfills import CONSUMERS, Backfills, callback_of, id_of, past_hour
from tests.support.badges import badges_in_redis
from tests.support.broker import Broker
from tests.support.callbacks import PostedCallback
from tests.support.commands import Command
from tests.support.http import request
from tests.support.im_archive import StoredFile, archive_text, c2c_line, group_line
from tests.support.im_platform import APP_ID, ImPlatform
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.topic import Topics, read_all, wait_for_events
from tests.support.waiting import wait_until
from tests.support.workers import StartWorker


@pytest.fixture
def backfills(broker: Broker, topics: Topics, platform: ImPlatform, tmp_path: Path) -> Backfills:
    topics.create(broker.bootstrap)
    return Backfills(tmp_path / "archive", broker.bootstrap, topics, platform)


def ids_on(bootstrap: str, topic: str) -> list[str]:
    return [message.event["id"] for message in read_all(bootstrap, topic)]


@pytest.mark.slow
def test_after_an_outage_of_the_whole_stack_every_message_is_there_once_and_badges_are_right(  # noqa: PLR0917 - fixtures
    own_broker: Broker,
    own_redis: RedisServer,
    topics: Topics,
    platform: ImPlatform,
    ingress: MakeIngress,
    start_worker: StartWorker,
    tmp_path: Path,
) -> None:
    topics.create(own_broker.bootstrap)
    hour = past_hour()
    lines = [c2c_line(hour, number, To_Account=f"user{number % 7}") for number in range(60)]
    groups = [group_line(hour, number) for number in range(40)]
    unread: collections.Counter[str] = collections.Counter()
    bridge = ingress(own_broker)
    worker_settings = {
        "CONSUMERS_REDIS_URL": own_redis.url,
        "CONSUMERS_IM_APPS": platform.credentials(),
        "CONSUMERS_RECONCILE_DELAY_S": "0",
    }
    badges = start_worker("badges", own_broker.bootstrap, **worker_settings)

    for line in lines[:20]:
        unread[line["To_Account"]] += 1
        assert bridge.post(callback_of(line, UnreadMsgNum=unread[line["To_Account"]])).status == 200
    for line in groups[:10]:
        assert bridge.post(callback_of(line)).status == 200
    wait_for_events(own_broker.bootstrap, topics.events, lambda found: len(found) == 30)
    badges.wait_for(lambda: counts_in(own_redis) == dict(unread), what="the badges before the outage", timeout=20)

    # Everything is off; the platform goes on.
    assert bridge.terminate() == 0
    assert badges.terminate() == 0
    own_redis.restart()
    own_broker.restart()
    unread.update(line["To_Account"] for line in lines[20:])
    platform.counts.update(unread)
    platform.archive.put(APP_ID, "c2c", hour, lines)
    platform.archive.put(APP_ID, "group", hour, groups, files=2)

    badges.start_ready()
    start_worker("reconcile", own_broker.bootstrap, **worker_settings)
    backfills = Backfills(tmp_path / "archive", own_broker.bootstrap, topics, platform)
    first, second = backfills.counts(hour)
    assert (first["archived"], first["there"], first["missing"], first["published"]) == (60, 20, 40, 40)
    assert (second["archived"], second["there"], second["missing"], second["weak"]) == (40, 10, 30, 30)

    events = [message.event for message in read_all(own_broker.bootstrap, topics.events)]
    c2c = [event["id"] for event in events if event["type"] == "im.c2c.message.sent"]
    assert sorted(c2c) == sorted(id_of(callback_of(line)) for line in lines)
    of_groups = [event for event in events if event["type"] == "im.group.message.sent"]
    messages = [(event["data"]["group_id"], event["data"]["msg_seq"]) for event in of_groups]
    assert sorted(messages) == sorted((line["GroupId"], line["MsgSeq"]) for line in groups)
    assert all(event.get("weakidentity") == event.get("backfilled") for event in of_groups)
    badges.wait_for(lambda: counts_in(own_redis) == dict(unread), what="the badges of the platform", timeout=30)

    again = backfills.counts(hour)
    assert [(one["archived"], one["there"], one.get("missing", 0)) for one in again] == [(60, 60, 0), (40, 40, 0)]
    assert len(read_all(own_broker.bootstrap, topics.events)) == 100


def counts_in(server: RedisServer) -> dict[str, Any]:
    found = badges_in_redis(server, [f"user{number}" for number in range(7)])
    return {account: badge["unread"] for account, badge in found.items() if not badge["stale"]}


def test_a_dry_run_tells_what_is_missing_and_publishes_nothing(
    backfills: Backfills, broker: Broker, topics: Topics, platform: ImPlatform, ingress: MakeIngress
) -> None:
    hour = past_hour()
    lines = [c2c_line(hour, number) for number in range(3)]
    platform.archive.put(APP_ID, "c2c", hour, [*lines, b'{"From_Account": 5'])
    bridge = ingress(broker)
    assert bridge.post(callback_of(lines[0])).status == 200
    assert bridge.post(callback_of(lines[1], SendMsgResult=None, MsgKey=None)).status == 200
    wait_for_events(broker.bootstrap, topics.events, lambda found: len(found) == 2)
    told = backfills.run(hour, "--dry-run", "--chat", "c2c", code=1)
    assert "The platform has sent 3, 2 are here; 1 is missing." in told
    assert "1 line of the files is no message" in told
    assert "nothing was published" in told
    assert len(read_all(broker.bootstrap, topics.events)) == 2


def test_hostile_lines_are_shown_cost_no_other_and_make_the_status_1(
    backfills: Backfills, broker: Broker, topics: Topics, platform: ImPlatform
) -> None:
    hour = past_hour()
    good = [c2c_line(hour, number) for number in range(4)]
    hostile = [
        b'{"From_Account": "cut',
        b"\x00" * 10 + b"\xff\xfe",
        b'{"From_Account":"a","To_Account":"b","MsgBody":' + b"[" * 5000 + b"]" * 5000 + b"}",
        json.dumps(c2c_line(hour, 9, MsgSeq=10**30)).encode(),
        json.dumps(c2c_line(hour, 9, MsgTimestamp=0)).encode(),
        json.dumps(c2c_line(hour, 9, To_Account={"a": 1})).encode(),
        b"[1, 2, 3]",
    ]
    long_line = b'{"From_Account":"' + b"x" * 3_000_000 + b'"}'
    texts = [
        archive_text(APP_ID, "c2c", hour, [good[0], *hostile, good[1]], end=b"\r\n"),
        archive_text(APP_ID, "c2c", hour, [good[2], long_line, b"", good[3]]).removesuffix(b"]}"),
    ]
    platform.archive.store("c2c", hour, *map(StoredFile.of, texts))
    told = backfills.run(hour, "--chat", "c2c", code=1)
    assert "The platform has sent 4, 4 are here; 4 of these were published just now." in told
    assert "9 lines of the files are no message" in told
    assert "no message: line 3: it is no JSON" in told
    assert "Traceback" not in told
    assert sorted(ids_on(broker.bootstrap, topics.events)) == sorted(id_of(callback_of(line)) for line in good)
    again = backfills.run(hour, "--chat", "c2c", code=1)
    assert "The platform has sent 4, 4 are here. 9 lines" in again


def test_a_callback_among_the_dead_letters_is_not_published_again(
    backfills: Backfills, broker: Broker, topics: Topics, platform: ImPlatform, ingress: MakeIngress
) -> None:
    hour = past_hour()
    lines = [c2c_line(hour, number) for number in range(2)]
    platform.archive.put(APP_ID, "c2c", hour, lines)
    bridge = ingress(broker)
    whole = callback_of(lines[0])
    assert bridge.post(PostedCallback(whole.command, whole.body[:-1])).status == 200
    wait_for_events(broker.bootstrap, topics.dlq, len)
    (count,) = backfills.counts(hour, "--chat", "c2c")
    assert (count["archived"], count["dead_letters"], count["published"]) == (2, 1, 1)


def test_hours_over_midnight_in_beijing_are_each_compared(
    backfills: Backfills, broker: Broker, topics: Topics, platform: ImPlatform
) -> None:
    hours = [past_hour(hours) for hours in range(27, 1, -1)]
    for number, hour in enumerate(hours):
        platform.archive.put(APP_ID, "c2c", hour, [c2c_line(hour, number)])
    counts = backfills.counts(hours[0], until=hours[-1])
    assert [one["hour"] for one in counts if one["chat"] == "c2c"] == [hour.name for hour in hours]
    assert {one["state"] for one in counts if one["chat"] == "group"} == {"no_file"}
    wanted = [id_of(callback_of(c2c_line(hour, number))) for number, hour in enumerate(hours)]
    assert sorted(ids_on(broker.bootstrap, topics.events)) == sorted(wanted)


def test_an_interrupted_run_ends_at_once_and_the_next_goes_on_from_there(
    backfills: Backfills, broker: Broker, topics: Topics, platform: ImPlatform
) -> None:
    hours = [past_hour(3), past_hour(2)]
    for hour, count in zip(hours, (5, 3000), strict=True):
        platform.archive.put(APP_ID, "c2c", hour, [c2c_line(hour, number) for number in range(count)])
    slow = environment({**backfills.env, "CONSUMERS_BACKFILL_EVENTS_PER_S": "200"})
    span = ("--from", hours[0].name, "--to", hours[1].next().name, "--chat", "c2c")
    run = subprocess.Popen([CONSUMERS, "backfill", *span], env=slow, stderr=subprocess.PIPE, text=True)
    wait_until(
        lambda: len(read_all(broker.bootstrap, topics.events)) > 505, timeout=60, what="a part of the hour", every=0.2
    )
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "goes on from there" in told
    assert "Traceback" not in told
    done = len(read_all(broker.bootstrap, topics.events))
    assert done < 3005
    asked = platform.asked(f"C2C {hours[0].name}")

    first, second = backfills.counts(hours[0], "--chat", "c2c", until=hours[1])
    assert (first["archived"], second["archived"]) == (5, 3000)
    assert second["there"] >= done - 5
    assert platform.asked(f"C2C {hours[0].name}") == asked, "the hour that was done is not asked for again"
    published = ids_on(broker.bootstrap, topics.events)
    assert len(published) == len(set(published)) == 3005


def test_what_the_topic_has_deleted_is_not_taken_to_be_missing(
    backfills: Backfills, broker: Broker, topics: Topics, platform: ImPlatform, ingress: MakeIngress
) -> None:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

    hour = past_hour()
    lines = [c2c_line(hour, number, To_Account="ann") for number in range(4)]
    platform.archive.put(APP_ID, "c2c", hour, lines)
    bridge = ingress(broker)
    for line in lines:
        assert bridge.post(callback_of(line)).status == 200
    messages = wait_for_events(broker.bootstrap, topics.events, lambda found: len(found) == 4)
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    cut = TopicPartition(topics.events, messages[0].partition, 2)
    for deleted in admin.delete_records([cut]).values():
        deleted.result(timeout=60)
    told = backfills.run(hour, "--chat", "c2c", code=1)
    assert "--despite-retention" in told
    assert len(read_all(broker.bootstrap, topics.events)) == 2
    (count,) = backfills.counts(hour, "--chat", "c2c", "--despite-retention")
    assert (count["there"], count["published"]) == (2, 2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "--from"),
        (["--from", "2026-11-25T10:00"], "--from"),
        (["--from", "yesterday", "--to", "13:00"], "'yesterday' is no time"),
        (["--from", "2026-11-25T10:00Z", "--to", "2026-11-25T09:00Z"], "must be later"),
        (["--from", "2999-01-01T00:00Z", "--to", "2999-01-01T01:00Z"], "is still to come"),
        (["--from", "2020-01-01T00:00Z", "--to", "2026-01-01T01:00Z"], "the platform keeps seven: ask for 31 days"),
        (["--from", "2026112510", "--to", "2026112511", "--chat", "room"], "write c2c or group"),
        (["--from", "2026112510", "--to", "2026112511", "--app", "14"], "CONSUMERS_IM_APPS names 1400000000"),
        (["--from", "2026112510", "--to", "2026112511", "--publish"], "--watch"),
        (["--watch", "--to", "13:00"], "has no end"),
        (["--watch", "--dry-run"], "--dry-run"),
        (["--watch", "--despite-retention"], "add --publish"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_told(options: list[str], says: str, platform: ImPlatform) -> None:
    env = environment({"CONSUMERS_IM_APPS": platform.credentials(), "COLUMNS": "300"})
    done = subprocess.run([CONSUMERS, "backfill", *options], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_without_credentials_it_says_which_setting_they_are(topics: Topics) -> None:
    span = ("--from", "2026112510", "--to", "2026112511")
    done = subprocess.run(
        [CONSUMERS, "backfill", *span], env=environment({}), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "CONSUMERS_IM_APPS" in done.stderr


def test_a_topic_that_does_not_exist_is_told_and_not_made(broker: Broker, platform: ImPlatform, tmp_path: Path) -> None:
    topics = Topics.unique()
    hour = past_hour()
    platform.archive.put(APP_ID, "c2c", hour, [c2c_line(hour, 1)])
    told = Backfills(tmp_path / "archive", broker.bootstrap, topics, platform).run(hour, code=1)
    assert f"the topic {topics.events} does not exist: set CONSUMERS_TOPIC" in told


def test_a_watch_compares_each_hour_once_its_file_is_there_and_tells(  # noqa: PLR0917 - fixtures
    backfills: Backfills, broker: Broker, topics: Topics, platform: ImPlatform, ingress: MakeIngress, tmp_path: Path
) -> None:
    hours = [past_hour(3), past_hour(2)]
    lines = [[c2c_line(hour, number) for number in range(3)] for hour in hours]
    bridge = ingress(broker)
    for line in (*lines[0], lines[1][0]):
        assert bridge.post(callback_of(line)).status == 200
    wait_for_events(broker.bootstrap, topics.events, lambda found: len(found) == 4)
    platform.archive.put(APP_ID, "c2c", hours[0], [*lines[0], b'{"From_Account":"somebody"}'])
    port = free_port()
    settings = {"CONSUMERS_ADMIN_PORT": str(port), "CONSUMERS_BACKFILL_LOOK_EVERY_S": "1"}
    env = {**backfills.env, **settings, "CONSUMERS_ARCHIVE_EMPTY_AFTER_HOURS": "100"}
    command = ("consumers", "backfill", "--watch", "--chat", "c2c", "--from", hours[0].name)
    watch = Command(*command, log=tmp_path / "watch.log", env=env, admin_port=port)
    try:
        watch.start_ready()
        watch.wait_for_log(r"the platform sent 3, we have 3; 1 line of the files is no message")
        watch.wait_for_log(r"line 5: it is no message: .*MsgTimestamp")
        assert "somebody" not in watch.log.read_text()
        name = "consumers_backfill_missing_messages"
        assert watch.metric(name, app=APP_ID, chat="c2c") == 0
        until = "consumers_backfill_complete_until_timestamp_seconds"
        assert watch.metric(until) == hours[0].end.timestamp()

        platform.archive.put(APP_ID, "c2c", hours[1], lines[1])
        watch.wait_for_log(r"the platform sent 3, we have 1, 2 missing\. To publish them run")
        watch.wait_for(lambda: watch.metric(name) == 2, what="the metric to say so")
        assert watch.metric("consumers_backfill_messages_total", outcome="there") == 4
        assert watch.metric(until) == hours[1].start.timestamp()
        assert watch.terminate() == 0

        publishing = Command(*command[:3], "--publish", *command[3:5], log=watch.log, env=env, admin_port=port)
        publishing.start_ready()
        publishing.wait_for_log(r"the platform sent 3, we have 3, 2 of these published just now")
        publishing.wait_for(lambda: publishing.metric(name) == 0, what="the metric to say so")
        assert publishing.terminate() == 0
    finally:
        watch.close()
    published = [message.event for message in read_all(broker.bootstrap, topics.events)]
    assert sorted(event["id"] for event in published) == sorted(
        id_of(callback_of(line)) for hour in lines for line in hour
    )
    assert json.loads((backfills.folder / "watch.json").read_text())[0]["missing"] == {}


def test_an_hour_that_expires_while_messages_of_it_are_missing_is_told_also_after_a_restart(
    backfills: Backfills, platform: ImPlatform, tmp_path: Path
) -> None:
    hour = past_hour(2)
    platform.archive.put(APP_ID, "c2c", hour, [c2c_line(hour, number) for number in range(3)])
    port = free_port()
    settings = {"CONSUMERS_ADMIN_PORT": str(port), "CONSUMERS_BACKFILL_LOOK_EVERY_S": "1"}
    command = ("consumers", "backfill", "--watch", "--chat", "c2c", "--from", hour.name)
    watch = Command(*command, log=tmp_path / "watch.log", env={**backfills.env, **settings}, admin_port=port)
    missing, expired = "consumers_backfill_missing_messages", "consumers_backfill_expired_hours"
    try:
        watch.start_ready()
        watch.wait_for(lambda: watch.metric(missing) == 3, what="the metric to say so")
        assert watch.metric(expired) == 0
        assert watch.terminate() == 0
        platform.archive.expired.add(hour.name)
        watch.start_ready()
        watch.wait_for(lambda: watch.metric(expired) == 1, what="the hour to be told")
        assert watch.metric(missing) == 0
        watch.wait_for_log("Of its messages 3 were missing before")
        assert watch.terminate() == 0
        watch.start_ready()
        watch.wait_for(lambda: watch.metric(expired) == 1, what="the hour to be told after a restart too")
        assert watch.terminate() == 0
    finally:
        watch.close()


@pytest.mark.slow
def test_of_two_watches_with_folders_of_their_own_one_publishes_and_the_other_goes_on_when_it_dies(
    broker: Broker, topics: Topics, platform: ImPlatform, tmp_path: Path
) -> None:
    topics.create(broker.bootstrap)
    hours = [past_hour(3), past_hour(2)]
    lines = [[c2c_line(hour, number) for number in range(50)] for hour in hours]
    watches = []
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        own = {"CONSUMERS_ARCHIVE_EMPTY_AFTER_HOURS": "100", "CONSUMERS_BACKFILL_LOOK_EVERY_S": "1"}
        own |= {"CONSUMERS_SESSION_TIMEOUT_MS": "6000", "CONSUMERS_ADMIN_PORT": str(port := free_port())}
        env = Backfills(tmp_path / name / "archive", broker.bootstrap, topics, platform, **own).env
        command = ("consumers", "backfill", "--watch", "--publish", "--chat", "c2c", "--from", hours[0].name)
        watches.append(Command(*command, log=tmp_path / name / "watch.log", env=env, admin_port=port))
    try:
        for watch in watches:
            watch.start_ready()

        def standing_by() -> list[Command]:
            told = [request("GET", f"{watch.admin_url}/readyz").json["backfill"] for watch in watches]
            return [watch for watch, words in zip(watches, told, strict=True) if words.startswith("stands by")]

        wait_until(lambda: len(standing_by()) == 1, timeout=60, what="one that stands by")
        platform.archive.put(APP_ID, "c2c", hours[0], lines[0])
        wait_for_events(broker.bootstrap, topics.events, lambda found: len(found) >= 50)
        [heir] = standing_by()
        [first] = [watch for watch in watches if watch is not heir]
        assert "published just now" not in heir.log.read_text()
        first.kill()
        heir.wait_for_log(r"the platform sent 50, we have 50$", timeout=60)
        platform.archive.put(APP_ID, "c2c", hours[1], lines[1])
        heir.wait_for_log(r"the platform sent 50, we have 50, 50 of these published just now", timeout=60)
        assert heir.terminate() == 0
    finally:
        for watch in watches:
            watch.close()
    expected = sorted(id_of(callback_of(line)) for hour in lines for line in hour)
    assert sorted(ids_on(broker.bootstrap, topics.events)) == expected
