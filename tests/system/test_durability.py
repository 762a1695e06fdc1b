"""Promise 1, seen from the kernel: which sync came before which reply."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.waiting import wait_until

OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
# strace splits a call where another thread comes between: `f(… <unfinished ...>`, `<... f resumed>) = 0`.
CALL = re.compile(r"^\d+ +[\d.]+ (?:<\.\.\. )?(?P<name>\w+)(?P<rest>.*)$")


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_with_kafka_frozen_no_ok_leaves_before_a_sync_to_disk_that_covers_its_record(
    ingress: MakeIngress, own_broker: Broker, tmp_path: Path
) -> None:
    bridge = ingress(own_broker)
    assert bridge.post(recalled("warm-up", unread=1)).json == OK
    own_broker.freeze()
    trace = tmp_path / "trace"
    command = [
        "strace",
        "-f",
        "-ttt",
        "-s",
        "65536",
        "-e",
        "trace=pwrite64,write,writev,sendto,sendmsg,fsync,fdatasync",
    ]
    accounts = [f"account-{number:03d}" for number in range(30)]
    with subprocess.Popen([*command, "-o", trace, "-p", str(bridge.server_pid)], stderr=subprocess.PIPE) as tracer:
        assert tracer.stderr
        assert b"attached" in tracer.stderr.readline()
        for account in accounts:
            assert bridge.post(recalled(account, unread=1)).json == OK
        wait_until(lambda: trace.read_text().count("ActionStatus") >= len(accounts), timeout=10, what="the trace")
        tracer.send_signal(signal.SIGINT)

    written: set[str] = set()
    synced: set[str] = set()
    replied = 0
    for line in trace.read_text(errors="replace").splitlines():
        call = CALL.match(line)
        if call is None:
            continue
        if call["name"] == "pwrite64":
            written |= set(re.findall(r"account-\d{3}", call["rest"]))
        elif call["name"] in {"fsync", "fdatasync"} and call["rest"].rstrip().endswith("= 0"):
            synced |= written
        elif "ActionStatus" in call["rest"]:
            assert accounts[replied] in synced, f"the reply for {accounts[replied]} left before its record was synced"
            replied += 1
    assert replied == len(accounts)
