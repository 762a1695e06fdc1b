"""What an outage leaves in memory when it is over."""

from __future__ import annotations

import platform
from functools import partial

import pytest

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.commands import IngressProcess
from tests.support.load import Load

KEPT_BYTES = 12 * 1024 * 1024
"""SQLite's cache, and what Python's arenas do not give back: 7 MiB, where more than 20 would be kept otherwise."""
BACKLOGS = (10_000, 15_000)


def has_lost_a_producer(bridge: IngressProcess, before: float) -> bool:
    return bridge.metric("bridge_producer_replaced_total") > before


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be asked to give memory back")
def test_what_an_outage_took_is_given_back_when_its_backlog_has_drained(
    ingress: MakeIngress, own_broker: Broker
) -> None:
    bridge = ingress(own_broker)
    with Load(bridge.port, connections=16, total=1000) as load:
        load.finish()
    before = bridge.rss_bytes
    for backlog in BACKLOGS:
        replaced = bridge.metric("bridge_producer_replaced_total")
        own_broker.kill()
        with Load(bridge.port, connections=16, total=backlog) as load:
            load.finish(timeout=240)
        bridge.wait_for(partial(has_lost_a_producer, bridge, replaced), timeout=60, what="the end of the producer")
        own_broker.start()
        bridge.wait_for(lambda: bridge.metric("bridge_journal_bytes") == 0, timeout=60, what="an empty journal")
        bridge.wait_for(lambda: bridge.rss_bytes < before + KEPT_BYTES, timeout=30, what="memory to come back")
