"""`consumers status` and `consumers doctor`: asked of Kafka and of real processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from tests.conftest import MakeWorker
from tests.support.badge_model import badge_event, produce
from tests.support.broker import Broker
from tests.support.commands import WorkerProcess
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.topic import Topics
from tests.support.waiting import wait_until
from tests.support.workers import StartWorker
from tests.system.test_consumers_cli import consumers


def settings_of(process: WorkerProcess) -> dict[str, str]:
    return {name: value for name, value in process.env.items() if name.startswith("CONSUMERS_")}


def status(process: WorkerProcess) -> tuple[int, dict[str, Any]]:
    done = consumers("status", "--json", **settings_of(process))
    assert done.stdout, done.stderr
    return done.returncode, orjson.loads(done.stdout)


def test_lag_is_told_with_and_without_a_process_and_what_one_waits_for(
    worker: MakeWorker, broker: Broker, own_redis: RedisServer, topics: Topics
) -> None:
    process = worker(broker, own_redis)
    produce(broker.bootstrap, topics.events, [badge_event("a", "u0", 1)])
    wait_until(lambda: status(process)[1]["lag"]["events"] == 0, timeout=60, what="that all is handled")
    code, told = status(process)
    assert (code, told["well"], told["dead_letters"]["count"]) == (0, True, 0)
    assert (told["place"]["group"], told["lag"]["oldest"]) == (topics.group, None)
    (asked,) = told["processes"]
    assert (asked["answers"], asked["ready"], asked["detail"]["group"]) == (True, True, "joined")

    own_redis.kill()
    produce(broker.bootstrap, topics.events, [badge_event("b", "u0", 2), badge_event("c", "u1", 3)])
    wait_until(lambda: "waiting" in status(process)[1]["processes"][0]["detail"], timeout=60, what="that it waits")
    code, told = status(process)
    assert (code, told["well"], told["lag"]["events"]) == (1, False, 2)
    assert told["lag"]["oldest"]
    shown = consumers("status", **settings_of(process)).stdout
    assert "2 events not handled, the oldest of " in shown
    assert "waits, nothing is lost: " in shown
    assert "Redis" in shown

    process.kill()
    code, told = status(process)
    assert (code, told["lag"]["events"]) == (1, 2)
    assert told["processes"][0]["problem"] == "nothing listens there"


def test_the_doctor_of_workers_says_of_each_fault_what_to_do(
    broker: Broker, redis_server: RedisServer, topics: Topics
) -> None:
    topics.create(broker.bootstrap)
    settings = {
        "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap,
        "CONSUMERS_TOPIC": topics.events,
        "CONSUMERS_DLQ_TOPIC": topics.dlq,
        "CONSUMERS_BADGES_TOPIC": topics.badges,
        "CONSUMERS_REDIS_URL": redis_server.url,
    }
    done = consumers("doctor", **settings)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    nowhere = f"127.0.0.1:{free_port()}"
    faulty = {"CONSUMERS_REDIS_URL": f"redis://:hidden@{nowhere}", "CONSUMERS_FORWARD_URL": f"http://{nowhere}/"}
    done = consumers("doctor", "--json", **settings | faulty)
    told = orjson.loads(done.stdout)
    faults = {one["subject"]: one["detail"] for one in told["findings"] if not one["ok"]}
    assert (done.returncode, told["well"], len(faults)) == (1, False, 2)
    assert "see CONSUMERS_FORWARD_URL" in faults[f"handler at http://{nowhere}"]
    assert "see CONSUMERS_REDIS_URL" in " ".join(faults.values())
    assert "hidden" not in done.stdout
    missing = consumers("doctor", **settings | {"CONSUMERS_TOPIC": "im.none"})
    assert missing.returncode == 1
    assert "topic im.none\tmissing: the bridge makes it" in missing.stdout


def test_there_is_a_version_everywhere() -> None:
    done = consumers("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("im-bridge ")
    usage = consumers("status", "--url", "nonsense")
    assert (usage.returncode, usage.stderr) == (
        2,
        "error: nonsense is no address to ask: write it as http://127.0.0.1:9090\n",
    )
    assert "there is no worker bages (is badges meant?)" in consumers("status", "bages").stderr


FAILS = '''
from consumers.worker import Worker

class Fails(Worker):
    """Fails on every event."""

    name = "fails"

    async def handle(self, batch):
        raise ValueError("cannot stomach this")
'''


def test_dead_letters_and_an_open_breaker_are_told(
    tmp_path: Path, start_worker: StartWorker, broker: Broker, topics: Topics
) -> None:
    topics.create(broker.bootstrap, partitions=1)
    (tmp_path / "fails.py").write_text(FAILS)
    limit, of_breaker = 3, {"PYTHONPATH": str(tmp_path), "CONSUMERS_BREAKER_DEAD_LETTERS": "3"}
    process = start_worker("fails:Fails", broker.bootstrap, **of_breaker)
    produce(broker.bootstrap, topics.events, [badge_event(f"e{n}", f"u{n}", n) for n in range(limit + 2)])
    process.wait_for(lambda: process.metric("consumers_breaker_open") == 1, timeout=60, what="an open breaker")
    settings = {**of_breaker, **{name: one for name, one in process.env.items() if name.startswith("CONSUMERS_")}}

    done = consumers("status", "fails:Fails", "--json", **settings)
    told = orjson.loads(done.stdout)
    assert (done.returncode, told["well"], told["kafka_problem"]) == (1, False, "")
    assert (told["dead_letters"]["count"], told["dead_letters"]["is_complete"]) == (limit, True)
    assert told["dead_letters"]["latest"]
    assert told["lag"]["events"] >= 2, "those behind the letters wait"
    assert told["processes"][0]["detail"]["breaker"] == "open: the worker fails on every event"

    shown = consumers("status", "fails:Fails", **settings).stdout
    assert f"letters  {limit} open dead letters, the latest at " in shown
    assert f"dlq list --group {told['place']['group']}" in shown
    assert "breaker open: the worker fails on every event" in shown
    assert process.terminate() == 0
    assert (
        orjson.loads(consumers("status", "fails:Fails", "--json", **settings).stdout)["dead_letters"]["count"] == limit
    )
