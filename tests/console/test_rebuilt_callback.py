"""A callback that is rebuilt from its event is the same callback: posted again, it becomes the same event."""

from __future__ import annotations

import subprocess
from pathlib import Path

import orjson
import pytest

from bridge.console.hiding import Hiding
from bridge.console.rebuilt_callback import callback_of
from bridge.contract.examples import events_of
from bridge.contract.samples import samples
from bridge.ingress.verify import sign
from tests.console.records import record

URL = "http://127.0.0.1:8080/"
NOTHING = Hiding(())


@pytest.mark.parametrize("name", samples())
def test_every_documented_callback_is_rebuilt_to_the_same_event(name: str) -> None:
    sample = samples()[name]
    for value in events_of(sample.command, sample.body):
        event = orjson.loads(value)
        rebuilt = callback_of(record(value), event, NOTHING, url=URL)
        [again] = events_of(rebuilt.command, rebuilt.body.encode())
        assert {**orjson.loads(again), "id": 0, "time": 0} == {**event, "id": 0, "time": 0}


def test_the_original_is_shown_where_it_was_kept() -> None:
    body = b'{"To_Account":"ann","New":[1]}'
    [value] = events_of("C2C.CallbackAfterSendMsg", body)
    rebuilt = callback_of(record(value, ("raw-body", body)), orjson.loads(value), NOTHING, url=URL)
    assert rebuilt.is_original
    assert orjson.loads(rebuilt.body) == {"To_Account": "ann", "New": [1]}


def test_a_callback_with_hidden_parts_cannot_be_copied() -> None:
    body = b'{"To_Account":"ann","MsgBody":[{"MsgType":"TIMTextElem","MsgContent":{"Text":"secret"}}]}'
    [value] = events_of("C2C.CallbackAfterSendMsg", body)
    for headers in ((), (("raw-body", body),)):
        rebuilt = callback_of(record(value, *headers), orjson.loads(value), Hiding(["MsgBody"]), url=URL)
        assert (rebuilt.is_whole, rebuilt.curl, rebuilt.bridge_send) == (False, "", "")
        assert "secret" not in str(rebuilt.body)


@pytest.mark.parametrize("hostile", ["'; touch pwned; '", "$(touch pwned)", "`touch pwned`", "\nEND\ntouch pwned\n"])
def test_what_is_copied_is_one_argument_for_the_shell_whatever_is_in_it(hostile: str, tmp_path: Path) -> None:
    body = orjson.dumps({"To_Account": hostile, "From_Account": hostile})
    [value] = events_of("C2C.CallbackAfterSendMsg", body)
    event = orjson.loads(value) | {"clientip": hostile, "platform": hostile, "source": f"/tencent-im/{hostile}"}
    rebuilt = callback_of(record(value), event, NOTHING, url=URL)
    fakes = 'curl() { printf "%s\\n" "$#" "$3" "$4"; }; bridge() { cat; }; TOKEN=token-a; date() { echo 1700000000; }; '
    ran = subprocess.run(["bash", "-c", fakes + rebuilt.curl], capture_output=True, text=True, check=True, cwd=tmp_path)
    count, posted, url = ran.stdout.split("\n")[:3]
    assert count == "4"
    assert orjson.loads(posted)["To_Account"] == hostile
    assert url.endswith(f"RequestTime=1700000000&Sign={sign('token-a', '1700000000')}")
    sent = subprocess.run(
        ["bash", "-c", fakes + rebuilt.bridge_send], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert orjson.loads(sent.stdout)["To_Account"] == hostile
    assert list(tmp_path.iterdir()) == []
