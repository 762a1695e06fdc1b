"""`BRIDGE_ALLOWED_NETWORKS=auto` in a real process, against a server of our own that answers as the platform does."""

from __future__ import annotations

import math
import os
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import MakeIngress
from tests.support.callbacks import recalled
from tests.support.commands import IngressProcess
from tests.support.http import request
from tests.support.im_platform import SECRET_KEY, ImPlatform

NO_KAFKA = "127.0.0.1:1"
AGE = "bridge_allowed_networks_age_seconds"


def settings_of(platform: ImPlatform, **more: str) -> dict[str, str]:
    """Of an ingress that asks this platform every second, and believes whoever posts from here which address it has."""
    return {
        "BRIDGE_ALLOWED_NETWORKS": "auto",
        "BRIDGE_ALLOWED_NETWORKS_INTERVAL_S": "1",
        "BRIDGE_ALLOWED_NETWORKS_REGION": "china",
        "BRIDGE_IM_APPS": platform.credentials(),
        "BRIDGE_TRUSTED_PROXIES": '["127.0.0.0/8"]',
        **more,
    }


def status_from(bridge: IngressProcess, address: str) -> int:
    """What a signed callback from this address is answered with."""
    callback = recalled("ann")
    headers = {"X-Forwarded-For": address}
    return request("POST", bridge.url + callback.signed(), callback.body, headers=headers).status


def readyz(bridge: IngressProcess) -> dict[str, Any]:
    found = request("GET", f"{bridge.admin_url}/readyz").json
    assert isinstance(found, dict)
    return found


def test_who_may_post_is_what_the_platform_names_and_the_last_good_answer_outlasts_failures_and_restarts(
    ingress: MakeIngress, platform: ImPlatform
) -> None:
    platform.networks = {"5": ["203.0.113.7", "198.51.100.0/25"], "6": ["192.0.2.0/24"]}
    bridge = ingress(NO_KAFKA, ready=True, **settings_of(platform))
    bridge.wait_for(lambda: bridge.metric("bridge_allowed_networks") == 2, what="the first answer", timeout=30)
    assert [status_from(bridge, one) for one in ("203.0.113.7", "198.51.100.99")] == [200, 200]
    assert [status_from(bridge, one) for one in ("203.0.113.8", "198.51.100.128", "192.0.2.1", "")] == [403] * 4
    bridge.wait_for_log(r"answered 403 to .*allowed are 2 networks, named by the platform \d+ s ago")
    assert bridge.metric(AGE) < 60
    assert "2 networks, named by the platform" in readyz(bridge)["allowed_networks"]

    platform.networks["5"] = ["203.0.113.8"]
    bridge.wait_for(lambda: status_from(bridge, "203.0.113.8") == 200, what="the new address", timeout=30)
    assert status_from(bridge, "203.0.113.7") == 200, "it was named a moment ago"

    asked = platform.asked("nettype=5")
    platform.networks["5"] = []
    bridge.wait_for(lambda: platform.asked("nettype=5") > asked + 2, what="empty answers", timeout=30)
    assert [status_from(bridge, one) for one in ("203.0.113.8", "203.0.113.9")] == [200, 403]
    assert "names no network" in readyz(bridge)["allowed_networks_problem"]
    assert bridge.metric("bridge_ip_list_calls_total", outcome="unusable") >= 2
    assert platform.asked("nettype=6") == 0, "the server is in China"

    assert bridge.terminate(20) == 0
    platform.fault = lambda _: "http:502"
    bridge.start_ready()
    assert [status_from(bridge, one) for one in ("203.0.113.8", "203.0.113.9")] == [200, 403]
    bridge.wait_for_log(r"answers with HTTP status 502 .*Those of \d+ s ago hold")
    assert bridge.metric(AGE) < 600
    assert SECRET_KEY not in bridge.output()
    assert "usersig" not in bridge.output()
    file = bridge.journal_dir / "platform-networks.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SECRET_KEY not in file.read_text()


def test_before_the_first_answer_everybody_may_post_and_that_is_told_everywhere(
    ingress: MakeIngress, platform: ImPlatform
) -> None:
    platform.networks = {"5": ["203.0.113.7"]}
    platform.fault = lambda _: 50003
    static = {"BRIDGE_ALLOWED_NETWORKS": '["auto","192.0.2.0/24"]'}
    bridge = ingress(NO_KAFKA, ready=True, **settings_of(platform, **static))
    assert [status_from(bridge, one) for one in ("203.0.113.7", "198.51.100.1", "192.0.2.1")] == [200] * 3
    bridge.wait_for_log("callbacks of ANY address are accepted .* error 50003: refused 50003 .*see BRIDGE_IM_APPS")
    assert math.isinf(bridge.metric(AGE))
    assert bridge.metric("bridge_allowed_networks") == 0
    assert bridge.metric("bridge_ip_list_calls_total", outcome="refused") >= 1
    assert readyz(bridge)["allowed_networks"].startswith("any address: the platform has not named its networks yet")
    assert "50003" in readyz(bridge)["allowed_networks_problem"]

    platform.fault = lambda _: None
    bridge.wait_for(lambda: status_from(bridge, "198.51.100.1") == 403, what="the first answer", timeout=30)
    assert [status_from(bridge, one) for one in ("203.0.113.7", "192.0.2.1")] == [200, 200]
    assert "allowed_networks_problem" not in readyz(bridge)


@pytest.mark.slow
def test_of_several_processes_one_asks_and_all_follow_also_when_it_is_gone(
    ingress: MakeIngress, platform: ImPlatform
) -> None:
    platform.networks = {"5": ["203.0.113.7"]}
    bridge = ingress(
        NO_KAFKA, ready=True, **settings_of(platform, BRIDGE_WORKERS="2", BRIDGE_ALLOWED_NETWORKS_INTERVAL_S="86400")
    )
    bridge.wait_for(lambda: readyz(bridge)["processes"].keys() == {"0", "1"}, what="both processes", timeout=30)

    def allowed() -> set[float]:
        return {one.value for one in bridge.samples() if one.name == "bridge_allowed_networks"}

    bridge.wait_for(lambda: allowed() == {1}, what="one list of all", timeout=30)
    assert platform.asked("nettype=5") == 1
    assert {status_from(bridge, "203.0.113.8") for _ in range(8)} == {403}

    platform.networks["5"] = ["203.0.113.7", "203.0.113.8"]
    for child in bridge.children():
        os.kill(child, signal.SIGKILL)
    bridge.wait_for(lambda: allowed() == {2}, what="the list of the next who asks", timeout=60)
    assert platform.asked("nettype=5") > 1


def test_credentials_that_are_renewed_are_used_at_once(
    ingress: MakeIngress, platform: ImPlatform, tmp_path: Path
) -> None:
    platform.networks = {"5": ["203.0.113.7"]}
    file = tmp_path / "im-apps"
    file.write_text(platform.credentials(secret_key="of before"))
    settings = settings_of(platform, BRIDGE_ALLOWED_NETWORKS_INTERVAL_S="86400", BRIDGE_IM_APPS_FILE=str(file))
    bridge = ingress(
        NO_KAFKA, ready=True, **{name: value for name, value in settings.items() if name != "BRIDGE_IM_APPS"}
    )
    assert status_from(bridge, "203.0.113.8") == 200
    bridge.wait_for_log("error 70009")
    file.write_text(platform.credentials())
    bridge.wait_for(lambda: status_from(bridge, "203.0.113.8") == 403, what="an answer to the new key", timeout=60)
    assert status_from(bridge, "203.0.113.7") == 200
    assert SECRET_KEY not in bridge.output()
