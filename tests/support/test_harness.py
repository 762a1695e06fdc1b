"""The harness itself: what it calls a broker, a kill and a freeze is one."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from tests.support import callbacks
from tests.support.broker import Broker
from tests.support.paths import ROOT
from tests.support.ports import OF_TESTS, claim, free_port
from tests.support.process import Process, ProcessEndedError
from tests.support.redis import RedisServer
from tests.support.terminal import TerminalCommand
from tests.support.topic import Topics, create_topic, partition_count, read_all, serves, topic_config, wait_for_events
from tests.support.waiting import wait_until

TREE = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
time.sleep(600)
"""


def produce(broker: Broker, topic: str, *values: str) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    for value in values:
        producer.produce(topic, value.encode(), key=b"k", headers=[("h", b"1")])
    assert producer.flush(20) == 0


def values(broker: Broker, topic: str) -> list[bytes | None]:
    return [message.value for message in read_all(broker.bootstrap, topic)]


def test_a_killed_broker_comes_back_on_its_port_with_its_data_and_can_move(own_broker: Broker, topics: Topics) -> None:
    create_topic(own_broker.bootstrap, topics.events)
    produce(own_broker, topics.events, "a", "b")

    bootstrap = own_broker.bootstrap
    own_broker.kill()
    assert not serves(bootstrap)
    own_broker.start()
    assert own_broker.bootstrap == bootstrap
    assert values(own_broker, topics.events) == [b"a", b"b"]

    own_broker.stop()
    own_broker.move()
    own_broker.start()
    assert own_broker.bootstrap != bootstrap
    assert values(own_broker, topics.events) == [b"a", b"b"]


def test_a_frozen_broker_keeps_connections_and_answers_nothing(own_broker: Broker, topics: Topics) -> None:
    create_topic(own_broker.bootstrap, topics.events)
    own_broker.freeze()
    assert own_broker.running
    socket.create_connection(("127.0.0.1", own_broker.port), timeout=1).close()
    assert not serves(own_broker.bootstrap)

    own_broker.thaw()
    produce(own_broker, topics.events, "a")
    assert values(own_broker, topics.events) == [b"a"]


def test_a_topic_is_read_as_it_was_written(broker: Broker) -> None:
    create_topic(broker.bootstrap, "harness", partitions=2, config={"cleanup.policy": "compact"})
    create_topic(broker.bootstrap, "harness", partitions=3)
    assert partition_count(broker.bootstrap, "harness") == 2
    assert topic_config(broker.bootstrap, "harness")["cleanup.policy"] == "compact"
    assert read_all(broker.bootstrap, "harness") == []

    produce(broker, "harness", '{"n":1}', '{"n":2}')
    read = wait_for_events(broker.bootstrap, "harness", lambda messages: len(messages) == 2)
    assert [message.event for message in read] == [{"n": 1}, {"n": 2}]
    assert [(message.key, message.headers) for message in read] == [(b"k", [("h", b"1")])] * 2

    with pytest.raises(TimeoutError, match="2 read"):
        wait_for_events(broker.bootstrap, "harness", lambda messages: len(messages) == 3, timeout=0.2)
    with pytest.raises(KafkaException):
        read_all(broker.bootstrap, "never-created")


def test_a_killed_redis_comes_back_with_its_data(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.set("a", "1")
    own_redis.kill()
    own_redis.start()
    with redis.Redis.from_url(own_redis.url, socket_timeout=2, retry=None) as client:
        assert client.get("a") == b"1"
        own_redis.freeze()
        with pytest.raises(redis.TimeoutError):
            client.get("a")
        own_redis.thaw()
        assert client.get("a") == b"1"


def test_a_process_is_frozen_and_killed_with_its_children(tmp_path: Path) -> None:
    with Process([sys.executable, "-c", TREE], log=tmp_path / "log") as process:
        child = int(process.wait_for_log(r"^child (\d+)$")[1])
        assert process.children() == [child]
        assert process.group() == sorted([process.pid, child])
        assert process.rss_bytes > 1_000_000
        process.freeze()
        assert "T" in Path(f"/proc/{child}/stat").read_text().split()[2]
        process.thaw()
        process.kill()
        assert process.exit_code == -signal.SIGKILL
        assert process.group() == []


def test_a_line_that_comes_in_two_pieces_is_seen_when_it_is_whole(tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    script = f"""
import os, sys, time
print("partitions: 0, 1", end="", flush=True)
while not os.path.exists({str(go_on)!r}):
    time.sleep(0.01)
print(", 2, 3", flush=True)
time.sleep(600)
"""
    with Process([sys.executable, "-c", script], log=tmp_path / "log") as process:
        process.wait_for(process.output, what="the first piece")
        with pytest.raises(TimeoutError):
            process.wait_for_log(r"partitions: \d, \d$", timeout=0.1)
        go_on.touch()
        assert process.wait_for_log(r"partitions: (.*)$")[1] == "0, 1, 2, 3"


def test_all_that_a_command_shows_before_it_ends_is_read_from_its_terminal(tmp_path: Path) -> None:
    with TerminalCommand(["sh", "-c", "read _; echo the last line"], env={}, folder=tmp_path) as terminal:
        terminal.press("\n")
        terminal.process.wait(60)  # It has ended before anybody looks.
        assert terminal.end() == 0
        assert b"the last line" in terminal.raw()


def test_records_of_long_ago_stay_while_a_test_looks_at_them(broker: Broker) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap, "log_level": 0})
    resource = ConfigResource(ResourceType.BROKER, "1")
    told = admin.describe_configs([resource])[resource].result(timeout=60)
    assert int(told["log.retention.check.interval.ms"].value or 0) >= 86_400_000


def test_waiting_for_a_process_that_ended_fails_at_once_with_its_output(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('no such setting'); sys.exit(3)"]
    with (
        Process(command, log=tmp_path / "log") as process,
        pytest.raises(ProcessEndedError, match=r"(?s)\(3\).*no such"),
    ):
        process.wait_for_http(f"http://127.0.0.1:{free_port()}/", timeout=30)
    assert process.exit_code == 3


def test_a_process_is_alive_as_long_as_one_of_its_threads_is(tmp_path: Path) -> None:
    # On Linux the first thread alone ends by the system call 60 (x86-64) or 93 (arm64): see exit(2).
    script = """
import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
"""
    with Process([sys.executable, "-c", script], log=tmp_path / "log") as process:
        stat = Path(f"/proc/{process.pid}/stat")
        process.wait_for(lambda: ") Z " in stat.read_text(), what="the end of the first thread")
        assert process.group() == [process.pid]
        process.kill()
        assert process.group() == []


def test_not_even_killing_pytest_leaves_a_process_behind(tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from tests.support.process import Process
process = Process([sys.executable, "-c", {TREE!r}], log=Path({str(tmp_path / "log")!r})).start()
print(process.wait_for_log(r"child (\\d+)")[1], flush=True)
time.sleep(600)
"""
    runner = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert runner.stdout
    with runner, runner.stdout:
        grandchild = int(runner.stdout.readline())
        runner.kill()
    wait_until(lambda: not _alive(grandchild), timeout=10, what="the end of the grandchild")


def test_a_callback_is_signed_as_documented() -> None:
    # The vector of the platform's documentation.
    query = callbacks.signed_query("1400000000", "xxxxyyyy", callbacks.RECALLED, request_time=1669872112, ClientIP=None)
    assert query == (
        "?SdkAppid=1400000000&CallbackCommand=C2C.CallbackAfterMsgWithDraw&contenttype=json&OptPlatform=iOS"
        "&Sign=17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061&RequestTime=1669872112"
    )
    assert callbacks.samples()["C2C.CallbackAfterMsgWithDraw.v1"].command == callbacks.RECALLED
    assert callbacks.recalled("Jonh").json["MsgKey"] != callbacks.recalled("Jonh").json["MsgKey"]


def test_a_port_that_is_claimed_is_given_to_nobody_else() -> None:
    port = free_port()
    assert not claim(port)
    assert not claim(40_000), "the system may give it to any connection"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert not claim(taken.getsockname()[1])


def test_a_command_that_picks_ports_by_itself_picks_none_that_a_test_may_have() -> None:
    told = "from bridge.devstack.ports import PORTS; print(PORTS.start, PORTS.stop)"
    picks = range(*map(int, subprocess.check_output([sys.executable, "-c", told], cwd=ROOT, text=True).split()))
    assert not set(picks) & set(OF_TESTS)
    assert free_port() in OF_TESTS


def _alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
