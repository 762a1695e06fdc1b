"""`bridge send` and `bridge tail`, on the real ingress and a real Kafka."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.conftest import MakeIngress
from tests.support.badge_model import badge_event, produce
from tests.support.broker import Broker
from tests.support.callbacks import APP_ID, TOKEN, PostedCallback, recalled, sample, samples
from tests.support.commands import BRIDGE, IngressProcess, run_bridge
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.topic import Topics, create_topic, delete_topic, read_all, wait_for_events

APPS = json.dumps({APP_ID: [TOKEN]})


class Tail(Protocol):
    def __call__(self, bootstrap: str, topic: str, *arguments: str) -> Process: ...


@pytest.fixture
def tail(tmp_path: Path) -> Iterator[Tail]:
    """Starts `bridge tail TOPIC …`."""
    started: list[Process] = []

    def start(bootstrap: str, topic: str, *arguments: str) -> Process:
        log = tmp_path / f"tail-{len(started)}.log"
        env = {"BRIDGE_KAFKA_BOOTSTRAP_SERVERS": bootstrap}
        started.append(Process([BRIDGE, "tail", topic, *arguments], log=log, env=env).start())
        return started[-1]

    yield start
    for one in started:
        one.close()


# -- send --------------------------------------------------------------------------------------------------------------


def test_a_command_posts_its_documented_body_with_the_fields_that_were_set(
    ingress: MakeIngress, broker: Broker
) -> None:
    there = ingress(broker)
    changes = ("--set", "UnreadMsgNum=3", "--set", "To_Account=42")
    sent = run_bridge("send", "c2c.callbackaftermsgwithdraw", "--url", there.url, *changes, BRIDGE_APPS=APPS)
    assert sent.returncode == 0, sent
    assert sent.stdout == '200 OK {"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}\n'
    (message,) = wait_for_events(broker.bootstrap, there.topics.events, bool)
    assert message.event["type"] == "im.c2c.message.recalled"
    assert message.event["data"]["unread_total"] == 3
    assert message.event["subject"] == "42", "a field that is text stays text"


def test_a_command_without_a_documented_body_is_posted_with_every_documented_field(ingress: MakeIngress) -> None:
    there = ingress("127.0.0.1:9")
    documented = {callback.command for callback in samples().values()}
    for command, told in (
        ("chatbot.onc2csignalmessage", '"ErrorCode":1,"RspData":""'),
        ("Sns.CallbackPrevFriendResponse", '"ResultItem":[{"To_Account":"example-to_account","ResultCode":0'),
        ("createRoom", '{"ErrorCode":0,"ErrorMessage":""}'),
    ):
        assert command not in documented, "choose another one"
        sent = run_bridge("send", command, "--url", there.url, BRIDGE_APPS=APPS)
        assert sent.returncode == 0, sent
        assert told in sent.stdout
    assert there.metric("bridge_accepted_total") == 3
    assert there.metric("bridge_drift_total") == 0


def test_a_body_from_standard_input_is_posted_byte_for_byte(ingress: MakeIngress, broker: Broker) -> None:
    there = ingress(broker)
    options = ("--body", "-", "--url", there.url, "--app", APP_ID, "--token", TOKEN)
    sent = run_bridge("send", "C2C.CallbackAfterMsgWithDraw", *options, stdin="{ no json \n")
    assert sent.returncode == 1, "it was kept as a dead letter, which is no success"
    assert "kept as a dead letter" in sent.stdout
    (message,) = wait_for_events(broker.bootstrap, there.topics.dlq, bool)
    assert message.value == b"{ no json \n"


def test_a_refusal_says_what_to_look_at_and_shows_no_token(ingress: MakeIngress) -> None:
    there = ingress("127.0.0.1:1")
    secret = "a-wrong-and-secret-token"
    with_settings = run_bridge(
        "send", "C2C.CallbackAfterSendMsg", "--url", there.url, BRIDGE_APPS=json.dumps({APP_ID: [secret]})
    )
    with_option = run_bridge("send", "C2C.CallbackAfterSendMsg", "--url", there.url, "--token", secret)
    with_nothing = run_bridge("send", "C2C.CallbackAfterSendMsg", "--url", there.url)
    for refused in (with_settings, with_option, with_nothing):
        assert refused.returncode == 1
        assert refused.stdout.startswith("403 Forbidden")
        assert secret not in refused.stdout + refused.stderr
    assert "another app or token" in with_settings.stderr
    assert "another app or token" in with_option.stderr
    assert "BRIDGE_APPS is not set" in with_nothing.stderr


def test_where_nobody_listens_it_says_what_to_start() -> None:
    sent = run_bridge("send", "C2C.CallbackAfterSendMsg", BRIDGE_PORT=str(free_port()))
    assert sent.returncode == 1
    as_pasted = shlex.quote(str(BRIDGE))
    assert f"Start `{as_pasted} dev` or `{as_pasted} serve`" in sent.stderr
    assert "Traceback" not in sent.stderr


def test_a_wrong_name_is_told_in_a_line_with_what_may_be_meant_and_what_lists_all() -> None:
    sent = run_bridge("send", "C2C.CallbackAfterMsgWithdrawn")
    assert sent.returncode == 2
    assert "Did you mean C2C.CallbackAfterMsgWithDraw " in sent.stderr
    assert f"`{shlex.quote(str(BRIDGE))} send` lists all" in sent.stderr
    assert len(sent.stderr.splitlines()) == 1
    assert run_bridge("send").stdout.splitlines() == list(samples())


def test_an_app_without_a_known_token_is_refused_before_anything_is_posted() -> None:
    sent = run_bridge("send", "C2C.CallbackAfterSendMsg", "--app", "1499999999", BRIDGE_APPS=APPS)
    assert sent.returncode == 2
    assert "BRIDGE_APPS has no app 1499999999" in sent.stderr


# -- tail --------------------------------------------------------------------------------------------------------------


def test_it_shows_what_comes_from_now_on_and_ends_with_ctrl_c(ingress: MakeIngress, broker: Broker, tail: Tail) -> None:
    there = ingress(broker)
    there.post(recalled("before"))
    wait_for_events(broker.bootstrap, there.topics.events, bool)
    tailing = tail(broker.bootstrap, there.topics.events)
    tailing.wait_for_log("^following ")
    there.post(recalled("Ann", unread=7))
    shown = tailing.wait_for_log(r"^\S+ +im\.c2c\.message\.recalled +Ann .*unread_total=7$")
    assert "before" not in tailing.output(), shown
    os.kill(tailing.pid, signal.SIGINT)
    assert tailing.wait(5) == 0
    assert "Traceback" not in tailing.output()


def test_filters_leave_out_other_types_and_other_accounts(ingress: MakeIngress, broker: Broker, tail: Tail) -> None:
    there = ingress(broker)
    for callback in (recalled("Ann"), sample("Group.CallbackAfterCreateGroup.v1"), recalled("Ben")):
        there.post(callback)
    events = there.topics.events
    by_type = tail(broker.bootstrap, events, "--from-beginning", "--type", "im.c2c.*")
    by_account = tail(broker.bootstrap, events, "--from-beginning", "--account", "Ben")
    by_sender = tail(broker.bootstrap, events, "--from-beginning", "--account", "jared")
    for tailing in (by_type, by_sender):
        tailing.wait_for_log(" Ann ")
        tailing.wait_for_log(" Ben ")
    by_account.wait_for_log(" Ben ")
    there.post(recalled("Ben"))  # Once this is shown, all that was there before has been read.
    for tailing in (by_type, by_sender, by_account):
        tailing.wait_for_log("(?s) Ben .* Ben ")
        assert "im.group" not in tailing.output()
    assert " Ann " not in by_account.output()


def test_json_is_the_value_of_each_record_on_one_line(ingress: MakeIngress, broker: Broker, tail: Tail) -> None:
    there = ingress(broker)
    there.post(recalled("Ann"))
    there.post(PostedCallback("C2C.CallbackAfterSendMsg", b"two\nlines"))
    events = tail(broker.bootstrap, there.topics.events, "--from-beginning", "--json")
    letters = tail(broker.bootstrap, there.topics.dlq, "--from-beginning", "--json")
    shown = events.wait_for_log(r"^\{.*\}$")[0]
    assert shown.encode() == read_all(broker.bootstrap, there.topics.events)[0].value
    line = letters.wait_for_log(r"^\{.*\}$")[0]
    assert json.loads(line)["value"] == "two\nlines"
    assert json.loads(line)["headers"]["reason"] == "not_json"


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("form", [["--json"], []], ids=["json", "lines"])
def test_it_ends_in_silence_when_nobody_reads_on(
    form: list[str], unbuffered: str, topics: Topics, broker: Broker
) -> None:
    topics.create(broker.bootstrap)
    produce(broker.bootstrap, topics.events, [badge_event("an-id", "Ann", 1)])
    command: list[str | Path] = [BRIDGE, "tail", topics.events, "--from-beginning", *form]
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "BRIDGE_KAFKA_BOOTSTRAP_SERVERS": broker.bootstrap}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tailing:
        assert tailing.stdout
        assert tailing.stderr
        assert b"Ann" in tailing.stdout.readline()
        tailing.stdout.close()  # It ends though no record comes any more.
        assert tailing.wait(30) == 0
        assert tailing.stderr.read().splitlines()[1:] == []


def test_a_dead_letter_is_shown_with_its_reason_and_obeys_no_escape_code_of_its_sender(
    ingress: MakeIngress, broker: Broker, tail: Tail
) -> None:
    there = ingress(broker)
    there.post(PostedCallback("C2C.CallbackAfterSendMsg", b"\x1b]0;owned\x07"))
    there.post(recalled("\x1b[31mAnn\u202e"))
    letters = tail(broker.bootstrap, there.topics.dlq, "--from-beginning")
    events = tail(broker.bootstrap, there.topics.events, "--from-beginning")
    letters.wait_for_log(r"dead letter +1400000000 +reason=not_json .*body=.*owned")
    events.wait_for_log("recalled .*Ann")
    assert "\x1b" not in letters.output() + events.output()
    assert "\u202e" not in events.output()
    for topic in (there.topics.events, there.topics.dlq):
        line = tail(broker.bootstrap, topic, "--from-beginning", "--json").wait_for_log(r"^\{.*\}$")[0]
        assert line.isprintable()
        assert json.loads(line)
        assert "\\u001b" in line


def test_it_waits_for_kafka_and_for_the_topic_and_goes_on_after_an_outage(
    make_broker: Callable[[], Broker], topics: Topics, tail: Tail, ingress: MakeIngress
) -> None:
    kafka = make_broker()
    tailing = tail(kafka.bootstrap, topics.events)
    tailing.wait_for_log("^Kafka at .* cannot be used: nothing listens there.*BRIDGE_KAFKA_BOOTSTRAP_SERVERS")
    kafka.start()
    tailing.wait_for_log(f"^the topic {topics.events} does not exist yet", timeout=20)
    there: IngressProcess = ingress(kafka)
    there.post(recalled("Ann"))
    tailing.wait_for_log(" Ann ", timeout=20)
    kafka.kill()
    tailing.wait_for_log("(?s)cannot be used.*following.*cannot be used", timeout=20)
    kafka.start()
    there.post(recalled("Ben"))
    tailing.wait_for_log(" Ben ", timeout=30)
    assert tailing.output().count(" Ann ") == 1, "what was shown once is not shown again"


def make_anew(kafka: Broker, topic: str, written: list[str]) -> None:
    """Have another topic in its place, with an event about each of these."""
    delete_topic(kafka.bootstrap, topic)
    create_topic(kafka.bootstrap, topic, partitions=1)
    produce(kafka.bootstrap, topic, [badge_event(f"id-of-{name}", name, 1) for name in written])


def test_a_topic_that_was_made_anew_and_outgrew_the_former_before_it_was_looked_at_is_shown_whole(
    topics: Topics, broker: Broker, tail: Tail
) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=1)
    produce(broker.bootstrap, topics.events, [badge_event(f"former-{number}", "Ann", 1) for number in range(3)])
    tailing = tail(broker.bootstrap, topics.events, "--from-beginning")
    tailing.wait_for_log("(?s) Ann .* Ann .* Ann ")
    tailing.freeze()
    make_anew(broker, topics.events, [f"latter-{number}" for number in range(6)])
    tailing.thaw()
    for number in range(6):
        tailing.wait_for_log(f" latter-{number} ")


def test_a_topic_that_was_made_anew_and_is_shorter_is_shown_once(topics: Topics, broker: Broker, tail: Tail) -> None:
    create_topic(broker.bootstrap, topics.events, partitions=1)
    produce(broker.bootstrap, topics.events, [badge_event(f"former-{number}", "Ann", 1) for number in range(3)])
    tailing = tail(broker.bootstrap, topics.events, "--from-beginning")
    tailing.wait_for_log("(?s) Ann .* Ann .* Ann ")
    make_anew(broker, topics.events, ["latter"])
    tailing.wait_for_log(" latter ")
    produce(broker.bootstrap, topics.events, [badge_event("last", "last", 1)])
    tailing.wait_for_log(" last ")
    assert tailing.output().count(" latter ") == 1


def test_a_topic_that_is_waited_for_is_told_to_be_there_when_it_is(topics: Topics, broker: Broker, tail: Tail) -> None:
    tailing = tail(broker.bootstrap, topics.events)
    tailing.wait_for_log(f"^the topic {topics.events} does not exist yet")
    create_topic(broker.bootstrap, topics.events, partitions=1)
    tailing.wait_for_log(f"(?s)does not exist yet.*following {topics.events}")
