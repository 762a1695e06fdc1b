"""Promises 1 and 2: what was acknowledged arrives, in order, whatever is killed. Every fault comes from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.commands import IngressProcess
from tests.support.load import Load
from tests.support.topic import read_all
from tests.support.verdict import verdict
from tests.support.waiting import wait_until

CONNECTIONS = 64
BOTH_ACCEPT = "(?s)is accepting callbacks.*is accepting callbacks"


def judge(load: Load, broker: Broker, bridge: IngressProcess) -> None:
    """Wait for the backlog to drain, then compare the acknowledged callbacks with the topic."""
    wait_until(
        lambda: drained(bridge), timeout=60, what=lambda: f"the journal to drain\n{bridge.metrics()}\n{bridge.tail()}"
    )
    result = verdict(load.acknowledged, events(broker, bridge))
    assert result.ok, (
        f"of {len(load.acknowledged)} acknowledged: {len(result.lost)} lost, "
        f"{len(result.out_of_order)} out of order, {len(result.two_ids)} under two ids"
    )


def drained(bridge: IngressProcess) -> bool:
    return bridge.metric("bridge_journal_bytes") == 0 and bridge.metric("bridge_memory_bytes") == 0


def events(broker: Broker, bridge: IngressProcess) -> list[dict[str, Any]]:
    return [message.event for message in read_all(broker.bootstrap, bridge.topics.events)]


def kill_and_start(bridge: IngressProcess) -> None:
    bridge.kill()
    bridge.start_ready()


@pytest.mark.slow
def test_kill_9_of_the_ingress_under_load_loses_nothing_that_it_acknowledged(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker)
    with Load(bridge.port, connections=CONNECTIONS) as load:
        for _ in range(8):
            load.wait_acknowledged(400)
            kill_and_start(bridge)

        own_broker.kill()
        for _ in range(6):
            load.wait_acknowledged(300)
            kill_and_start(bridge)
        own_broker.start()

        for _ in range(3):
            load.wait_acknowledged(400)
            own_broker.freeze()
            load.wait_acknowledged(300)
            kill_and_start(bridge)
            load.wait_acknowledged(300)
            own_broker.thaw()
            load.wait_acknowledged(300)
            kill_and_start(bridge)
        load.wait_acknowledged(400)
    judge(load, own_broker, bridge)


def test_nothing_comes_out_of_order_through_an_outage_and_a_restart_with_a_backlog(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker, BRIDGE_READ_AHEAD_BYTES=str(1024 * 1024))
    with Load(bridge.port, connections=CONNECTIONS, rate=3000) as load:
        load.wait_acknowledged(1000)
        own_broker.stop()
        load.wait_acknowledged(8000)  # More than the read-ahead: most of the backlog is on disk only.
        assert bridge.terminate() == 0
        bridge.start_ready()
        load.wait_acknowledged(2000)
        own_broker.start()
        load.wait_acknowledged(2000)
    judge(load, own_broker, bridge)
    assert not load.slow()


@pytest.mark.slow
def test_ten_minutes_of_backlog_drain_in_order_and_cost_no_memory(ingress: MakeIngress, own_broker: Broker) -> None:
    bridge = ingress(own_broker)
    with Load(bridge.port, connections=CONNECTIONS) as load:
        load.wait_acknowledged(1000)
        own_broker.kill()
        load.wait_acknowledged(6000)
        before = bridge.rss_bytes
        load.wait_acknowledged(54_000, timeout=90)  # Ten minutes at a hundred a second.
        assert bridge.rss_bytes - before < 50 * 1024 * 1024
        own_broker.start()
        load.wait_acknowledged(1000)
    judge(load, own_broker, bridge)
    assert not load.refused


@pytest.mark.parametrize("hurt", [Broker.kill, Broker.freeze], ids=["away", "frozen"])
def test_every_callback_is_accepted_and_answered_while_kafka_is(
    hurt: Callable[[Broker], None], ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker)
    with Load(bridge.port, connections=CONNECTIONS, rate=2000) as load:
        load.wait_acknowledged(1000)
        hurt(own_broker)
        load.wait_acknowledged(6000)
        if hurt is Broker.kill:
            own_broker.start()
        else:
            own_broker.thaw()
        load.wait_acknowledged(4000)
    assert not load.slow(), f"the slowest reply took {load.latency(1.0):.3f} s"
    assert not load.refused
    judge(load, own_broker, bridge)


@pytest.mark.slow
def test_killing_one_of_two_processes_under_load_loses_nothing_and_refuses_nothing_that_reached_the_socket(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker, BRIDGE_WORKERS="2")
    bridge.wait_for_log(BOTH_ACCEPT)
    with Load(bridge.port, connections=CONNECTIONS) as load:
        load.wait_acknowledged(1000)
        wait_until(partial(_both_take_callbacks, bridge), timeout=30, what="connections spread over the processes")
        for number in range(6):
            load.wait_acknowledged(500)
            killed = bridge.children()[number % 2]
            os.kill(killed, signal.SIGKILL)
            bridge.wait_for(partial(_is_replaced, bridge, killed), timeout=10, what="the process to be started again")
        load.wait_acknowledged(500)
    wait_until(lambda: drained(bridge), timeout=30, what=lambda: f"the journals to drain\n{bridge.tail()}")
    result = verdict(load.acknowledged, events(own_broker, bridge))
    assert not result.lost
    assert not result.two_ids
    assert not load.refused
    assert bridge.terminate(10) == 0


def _both_take_callbacks(bridge: IngressProcess) -> bool:
    """After one more on a connection of its own: whom the machine did not let run has got none of those of the load."""
    assert bridge.post(recalled("u", unread=1)).status == 200
    return all(bridge.metric("bridge_process_accepted_total", process=process) for process in "01")


def _is_replaced(bridge: IngressProcess, child: int) -> bool:
    children = bridge.children()
    return child not in children and len(children) == 2


@pytest.mark.slow
def test_a_hung_process_is_started_again(ingress: MakeIngress, own_broker: Broker) -> None:
    bridge = ingress(own_broker, ready=False, BRIDGE_WORKERS="2", BRIDGE_HUNG_AFTER_S="3")
    bridge.wait_for_log(BOTH_ACCEPT, timeout=60)
    hung = bridge.children()[0]
    os.kill(hung, signal.SIGSTOP)
    bridge.wait_for(partial(_is_replaced, bridge, hung), timeout=30, what="another process")
    bridge.wait_for_log("(?s)(is accepting callbacks.*){3}", timeout=60)
    assert "its event loop has not moved for 3 s (BRIDGE_HUNG_AFTER_S)" in bridge.output()
    assert bridge.post(recalled("u", unread=1)).status == 200


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_processes_that_the_machine_hardly_lets_run_are_not_taken_to_be_hung(ingress: MakeIngress) -> None:
    """A tenth of one CPU or so: to start takes them many times as long as they may hang."""
    cpu = min(os.sched_getaffinity(0))
    spin = f"import os; os.sched_setaffinity(0, {{{cpu}}})\nwhile True: pass"
    with ExitStack() as stack:
        for _ in range(3):
            stack.callback(stack.enter_context(subprocess.Popen([sys.executable, "-c", spin])).kill)
        bridge = ingress("127.0.0.1:1", ready=False, BRIDGE_WORKERS="2", BRIDGE_HUNG_AFTER_S="1.1")
        os.sched_setaffinity(bridge.pid, {cpu})
        bridge.wait_for_log("(?s)(is accepting callbacks.*){2}", timeout=150)
        assert bridge.post(recalled("u", unread=1), timeout=60).status in {200, 503}
        assert "killed" not in bridge.output()
        assert bridge.terminate(60) == 0
