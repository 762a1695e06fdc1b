"""`bridge drift` against ingresses of one and of several processes: it tells what differed, and no content."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import orjson

from tests.conftest import MakeIngress
from tests.support.callbacks import RECALLED, SENT, PostedCallback, sample
from tests.support.commands import IngressProcess, run_bridge
from tests.support.http import request
from tests.support.waiting import wait_until

NOWHERE = "127.0.0.1:9"
SECRETS = ("SECRET", "alice", "13800138000", "张三", "example.com", "\x1b", "\u202e")
HOSTILE = {
    "alice@example.com": "SECRET",
    "\x1b[31m": 1,
    "\u202egnp.exe": 1,
    "n" * 100_000: 1,
    **{f"\U0001f600{number}": number for number in range(40)},
}
NEW_FIELDS = {
    "Nickname": "SECRET",
    "Scores": {"alice": 1, "13800138000": 2, "张三": "SECRET"},
    "RoomInfo": {"RoomMode": "SECRET", "MemberList": [{"Member_Account": "alice", "alice": "SECRET"}]},
}


def told(bridge: IngressProcess, *options: str) -> str:
    """What the command prints, asked by the settings of the ingress, which is nothing that a user wrote."""
    ended = run_bridge("drift", *options, cwd=bridge.log.parent, **bridge.env)
    assert ended.returncode == 0, ended.stderr
    everything = ended.stdout + ended.stderr + bridge.output()
    assert [secret for secret in SECRETS if secret in everything] == []
    return ended.stdout


def report(bridge: IngressProcess) -> dict[str, Any]:
    """What the admin port says, which the command asks."""
    parsed = request("GET", f"{bridge.admin_url}/drift").json
    assert isinstance(parsed, dict)
    return parsed


def places(bridge: IngressProcess) -> dict[tuple[str, str, str], tuple[int, str]]:
    """Kind, command and field → how often, and the example."""
    return {
        (one["kind"], one["command"], one["field"]): (one["count"], one["shape"])
        for one in report(bridge)["differences"]
    }


def message(**more: Any) -> PostedCallback:
    return PostedCallback(SENT, orjson.dumps({**sample(f"{SENT}.v3").json, **more}))


def test_several_processes_are_summed_and_those_that_ended_are_not(ingress: MakeIngress) -> None:
    bridge = ingress(NOWHERE, BRIDGE_WORKERS="2")
    assert "nothing differed from the documentation since" in told(bridge)
    posted = 0

    def both_had_some() -> bool:
        nonlocal posted
        assert bridge.post(message(**NEW_FIELDS)).status == 200
        posted += 1
        return all(bridge.metric("bridge_process_accepted_total", process=number) for number in ("0", "1"))

    wait_until(both_had_some, timeout=60, what="callbacks at both processes")
    room = "{RoomMode: <text of 6>, MemberList: [{Member_Account: <text of 5>, <hidden name>: <text of 6>}]}"
    assert places(bridge) == {
        ("unknown_field", SENT, "Nickname"): (posted, "<text of 6>"),
        ("unknown_field", SENT, "Scores"): (posted, "{<hidden name>: <integer>}"),
        ("unknown_field", SENT, "RoomInfo"): (posted, room),
    }
    assert orjson.loads(told(bridge, "--json")) == report(bridge)
    kept = int(bridge.metric("bridge_process_accepted_total", process="1"))
    (before, _) = report(bridge)["since"]
    os.kill(bridge.children()[0], signal.SIGKILL)
    wait_until(lambda: len(report(bridge)["since"]) == 2 and posted > sum_of(bridge), timeout=60, what="a new process")
    assert sum_of(bridge) in {kept, posted - kept}
    assert report(bridge)["since"][0] >= before


def sum_of(bridge: IngressProcess) -> int:
    return places(bridge).get(("unknown_field", SENT, "Nickname"), (0, ""))[0]


def test_hostile_names_take_one_place_and_reach_neither_log_nor_terminal(ingress: MakeIngress, tmp_path: Path) -> None:
    bridge = ingress(NOWHERE)
    for number in range(3):
        assert bridge.post(message(**HOSTILE)).status == 200
        assert (
            bridge.post(PostedCallback(f"alice {number} \x1b[31m张三", b'{"SECRET":{"alice":"SECRET"}}')).status == 200
        )
        assert bridge.post(PostedCallback(SENT, b'{"\xff\xfe\x1b":"SECRET","To_Account":"b"}')).status == 200
    bridge.post(PostedCallback(RECALLED, orjson.dumps({"From_Account": "a", "To_Account": "b", "MsgKey": "k", "N": 1})))
    found = places(bridge)
    assert found["unknown_field", SENT, "<hidden name>"] == (3 * (len(HOSTILE) + 1), "<text of 6>")
    assert found["unknown_command", "<hidden name>", ""] == (3, "{<hidden name>: {<hidden name>: <text of 6>}}")
    assert found["unknown_field", RECALLED, "N"] == (1, "<integer>")
    assert {command for _, command, _ in found} == {SENT, RECALLED, "<hidden name>"}
    table = told(bridge)
    assert len(table.splitlines()) == len(found)
    assert table.replace("\n", "").replace("\t", "").isprintable()
    assert f"| `{RECALLED}` | `N` |" in told(bridge, "--report")
