"""The profile `observe` of the compose stack: it asks all there are, and is for this machine alone."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

OBSERVERS = {"prometheus", "grafana", "kafka-ui"}


def read(path: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / path).read_text())  # type: ignore[no-any-return]


@cache
def services() -> dict[str, Any]:
    return read("docker-compose.yml")["services"]  # type: ignore[no-any-return]


def scraped() -> dict[str, tuple[list[str], int]]:
    """Job → the services that it asks, and their port."""
    jobs = read("deploy/prometheus/prometheus.yml")["scrape_configs"]
    found = {}
    for job in jobs:
        for place in job.get("dns_sd_configs", []):
            assert place["type"] == "A", "a name has no port"
            found[job["job_name"]] = (place["names"], place["port"])
    return found


def test_the_ingress_and_every_worker_are_asked_by_the_names_that_alerts_and_the_chart_have_for_them() -> None:
    ours = {
        name: one["environment"]
        for name, one in services().items()
        if one["image"].startswith("${IM_BRIDGE_IMAGE") and name != "console"  # which has no metrics
    }
    workers = {name for name in ours if name != "ingress"}
    expected = {"im-bridge": ["ingress"]} | {f"im-bridge-{name}": [name] for name in workers}
    assert {job: names for job, (names, _) in scraped().items()} == expected
    ports = {
        environment.get("BRIDGE_ADMIN_PORT", environment.get("CONSUMERS_ADMIN_PORT")) for environment in ours.values()
    }
    assert {port for _, port in scraped().values()} == ports


def test_who_observes_reaches_all_whom_it_asks() -> None:
    for asked in ("ingress", "kafka", *(name for names, _ in scraped().values() for name in names)):
        for name in OBSERVERS:
            assert set(services()[name]["networks"]) & set(services()[asked]["networks"]), (name, asked)


def test_they_start_only_when_asked_for_and_are_for_this_machine_alone() -> None:
    assert {name for name, one in services().items() if "observe" in one.get("profiles", [])} == OBSERVERS
    for name in OBSERVERS:
        (port,) = services()[name]["ports"]
        assert port.startswith("127.0.0.1:")


def test_what_is_mounted_is_there_and_grafana_finds_its_dashboard_and_prometheus() -> None:
    mounts = [mount.split(":")[:2] for name in OBSERVERS for mount in services()[name].get("volumes", [])]
    inside = {target: ROOT / source for source, target in mounts if source.startswith(".")}
    assert [target for target, path in inside.items() if not path.exists()] == []
    (source,) = read("deploy/grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    host, _, port = source["url"].removeprefix("http://").partition(":")
    assert services()[host]["ports"][0].endswith(f":{port}")
    (provider,) = read("deploy/grafana/provisioning/dashboards/im-bridge.yaml")["providers"]
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in inside
    assert home.startswith(f"{provider['options']['path']}/")
    assert read("deploy/prometheus/prometheus.yml")["rule_files"] == ["rules.yaml"], "beside it"


def test_compose_takes_the_file_with_the_profile() -> None:
    command = ["docker", "compose"]
    if not shutil.which("docker") or subprocess.run([*command, "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is not here")
    arguments = [
        "--env-file",
        "/dev/null",
        "-f",
        "docker-compose.yml",
        "--profile",
        "observe",
        "config",
        "--format",
        "json",
    ]
    done = subprocess.run([*command, *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    made = json.loads(done.stdout)["services"]
    assert made.keys() >= OBSERVERS
    assert {port["host_ip"] for one in made.values() for port in one.get("ports", [])} == {"127.0.0.1"}
