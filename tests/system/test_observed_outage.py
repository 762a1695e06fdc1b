"""A real Prometheus with our alerts scrapes a real ingress through an outage of Kafka: one fires, and resolves."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.http import request
from tests.support.paths import ROOT
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.waiting import wait_until

PROGRAM = shutil.which("prometheus")
CALLBACKS = 20
CONFIGURATION = """
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yaml]
scrape_configs:
  - job_name: im-bridge
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        PROGRAM is None and "CI" not in os.environ, reason="there is no Prometheus here: make observe-test installs it"
    ),
]


class Prometheus:
    """A server with the rules of deploy/, which waits for seconds where these wait for minutes."""

    def __init__(self, folder: Path, *, scraped_port: int) -> None:
        folder.mkdir()
        rules = (ROOT / "deploy/prometheus/rules.yaml").read_text()
        (folder / "rules.yaml").write_text(re.sub(r"(\bfor: \d+)m\b", r"\1s", rules))
        (folder / "prometheus.yaml").write_text(CONFIGURATION.format(port=scraped_port))
        self._url = f"http://127.0.0.1:{(port := free_port())}"
        assert PROGRAM, "there is no Prometheus here: make observe-test installs it"
        self.process = Process(
            [
                PROGRAM,
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            log=folder / "log",
        )
        self.process.start()
        self.process.wait_for_http(f"{self._url}/-/ready", timeout=30)

    def api(self, path: str) -> Any:
        """The data of an answer."""
        return request("GET", f"{self._url}/api/v1/{path}").json["data"]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {one["labels"]["alertname"] for one in self.api("alerts")["alerts"] if one["state"] == "firing"}

    def value(self, query: str) -> float:
        """What a query gives that has one sample; NaN before there is any."""
        result = self.api(f"query?query={quote(query)}")["result"]
        return float(result[0]["value"][1]) if result else float("nan")


def test_an_outage_is_told_while_it_lasts_and_not_any_longer(
    ingress: MakeIngress, own_broker: Broker, tmp_path: Path
) -> None:
    bridge = ingress(own_broker, BRIDGE_WORKERS="2")
    prometheus = Prometheus(tmp_path / "prometheus", scraped_port=bridge.admin_port)

    def wait(query: str, expected: float, what: str) -> None:
        wait_until(lambda: prometheus.value(query) == expected, timeout=30, what=what, every=0.2)

    try:
        wait("bridge_kafka_ok", 1, "Prometheus to see that all is well")
        assert prometheus.value("sum(bridge_accepted_total)") == 0, "known labels are there from the start"
        own_broker.stop()
        for number in range(CALLBACKS):
            assert bridge.post(recalled("u", unread=number)).status == 200
        wait_until(lambda: "BridgeKafkaAway" in prometheus.firing(), timeout=60, what="the alert to fire", every=0.2)
        wait("bridge_events_waiting", CALLBACKS, "Prometheus to see what waits")
        assert prometheus.value("sum(bridge_process_events_waiting)") == CALLBACKS
        assert prometheus.value("bridge_oldest_waiting_seconds") > 5
        assert "BridgeNotReady" not in prometheus.firing(), "callbacks are taken all the same"
        ready = request("GET", f"{bridge.admin_url}/readyz").json
        assert ready.keys() == {"ready", "disk", "kafka", "quarantine", "state", "processes", "pid", "reload"}
        assert (ready["ready"], ready["disk"], ready["state"]) == (True, "ok", "serving")
        assert ready["kafka"] in {"slow", "away"}
        assert [*ready["processes"]] == ["0", "1"]
        own_broker.start()
        wait_until(
            lambda: "BridgeKafkaAway" not in prometheus.firing(), timeout=60, what="the alert to resolve", every=0.2
        )
        wait("bridge_events_waiting", 0, "the backlog to leave")
        wait("bridge_oldest_waiting_seconds", 0, "nothing to be waiting")
        wait("sum(bridge_accepted_total)", CALLBACKS, "all to be counted")
        wait("bridge_publish_seconds_count", CALLBACKS, "the way of each to be timed")
        assert prometheus.value('bridge_publish_seconds_bucket{le="1.0"}') < CALLBACKS, "it was long for some"
        unhealthy = [
            rule["name"]
            for group in prometheus.api("rules")["groups"]
            for rule in group["rules"]
            if rule["health"] != "ok"
        ]
        assert unhealthy == []
    finally:
        prometheus.process.close()
