"""`bridge dev`: everything on one machine, until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.commands import BRIDGE, run_bridge
from tests.support.ports import free_port
from tests.support.process import Process
from tests.support.waiting import wait_until


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Process]:
    """`bridge dev`, not started yet."""
    command: list[str | Path] = [BRIDGE, "dev", "--port", str(free_port())]
    settings = {
        "BRIDGE_KEEP_RAW": "true",
        "BRIDGE_JOURNAL_DIR": "/nowhere",
        "BRIDGE_TLS_CERTIFICATE": "nowhere.pem",
        "BRIDGE_TLS_KEY": "nowhere.key",
        "CONSUMERS_POISON_ATTEMPTS": "1",
    }
    process = Process(command, log=tmp_path / "dev.log", env={"TMPDIR": str(tmp_path), **settings})
    yield process
    process.close()


def introduced(dev: Process) -> str:
    """The URL to post to, once it is printed with everything else."""
    dev.start()
    dev.wait_for_log("^Ctrl-C|Ctrl-C ends everything", timeout=30)
    return dev.wait_for_log(r"^Post callbacks to (http://\S+/)$")[1]


def assert_gone(folder: Path) -> None:
    wait_until(
        lambda: not leftovers.processes(folder) and not leftovers.folders(folder),
        timeout=10,
        what=lambda: f"an end of {leftovers.processes(folder)} {leftovers.folders(folder)}",
    )


def send(url: str, *arguments: str | Path) -> int:
    """The exit status of `bridge send`."""
    return run_bridge("send", *arguments, "--url", url).returncode


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
def test_the_printed_line_works_when_pasted_and_what_follows_is_shown(dev: Process, tmp_path: Path) -> None:
    url = introduced(dev)
    line = dev.wait_for_log("^curl .*$")[0]
    for _ in range(2):
        pasted = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60, check=True)
        assert pasted.stdout == '{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}\n'
    dev.wait_for_log(r"im\.c2c\.message\.recalled +Jonh .*unread_total=7", timeout=15)
    dev.wait_for_log(r"badge +Jonh +unread=7", timeout=30)
    for unread in (3, 4):
        assert send(url, "C2C.CallbackAfterMsgWithDraw", "--set", f"UnreadMsgNum={unread}") == 0
        dev.wait_for_log(rf"badge +13800001111 +unread={unread}", timeout=15)

    assert send(url, "C2C.CallbackAfterSendMsg", "--set", "To_Account=Ann", "--set", "UnreadMsgNum=3") == 0
    dev.wait_for_log(r"badge +Ann +unread=3", timeout=15)

    assert send(url, "C2C.CallbackAfterSendMsg", "--token", "wrong") == 1
    dev.wait_for_log("ingress: .*bad_signature", timeout=15)

    unreadable = tmp_path / "unreadable"
    unreadable.write_text("no json")
    assert send(url, "C2C.CallbackAfterSendMsg", "--body", unreadable) == 1
    dev.wait_for_log(r"dead letter .*reason=not_json .*body=\"no json\"", timeout=15)

    os.kill(dev.pid, signal.SIGINT)
    assert dev.wait(10) == 0
    assert leftovers.processes(tmp_path) == []
    assert leftovers.folders(tmp_path) == []


def test_ctrl_c_while_it_starts_ends_everything_too(dev: Process, tmp_path: Path) -> None:
    dev.start()
    wait_until(lambda: len(leftovers.processes(tmp_path)) > 2, timeout=20, what="the first of its processes")
    os.kill(dev.pid, signal.SIGINT)
    assert dev.wait(15) == 0
    assert "Traceback" not in dev.output()
    assert_gone(tmp_path)


def test_even_kill_9_leaves_no_process_and_no_folder(dev: Process, tmp_path: Path) -> None:
    introduced(dev)
    assert len(leftovers.processes(tmp_path)) > 4, "broker, Redis, ingress, worker and the command itself"
    assert len(leftovers.folders(tmp_path)) == 1
    os.kill(dev.pid, signal.SIGKILL)
    dev.wait(10)
    assert_gone(tmp_path)


def test_settings_that_are_given_reach_its_processes_and_those_that_cannot_are_named(
    dev: Process, tmp_path: Path
) -> None:
    introduced(dev)
    dev.wait_for_log(
        r"^These settings have no effect here: BRIDGE_JOURNAL_DIR, BRIDGE_TLS_CERTIFICATE, BRIDGE_TLS_KEY\.$"
    )
    for name, setting in (" serve ", b"BRIDGE_KEEP_RAW=true"), (" run badges ", b"CONSUMERS_POISON_ATTEMPTS=1"):
        found = [line for line in leftovers.processes(tmp_path) if name in line]
        assert found
        for process in found:
            assert setting in Path(f"/proc/{process.split()[0]}/environ").read_bytes().split(b"\0")


def test_when_nobody_reads_on_it_ends_everything_in_silence(dev: Process, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    with subprocess.Popen(dev.command, env={**os.environ, **dev.env}, stdout=writer, stderr=subprocess.PIPE) as running:
        os.close(writer)
        wait_until(lambda: len(leftovers.processes(tmp_path)) > 2, timeout=40, what="the first of its processes")
        os.close(reader)
        assert running.communicate(timeout=60)[1] == b""
    assert running.returncode == 0
    assert_gone(tmp_path)


def test_when_one_process_ends_it_says_which_and_ends(dev: Process, tmp_path: Path) -> None:
    introduced(dev)
    (redis,) = (line for line in leftovers.processes(tmp_path) if "valkey-server" in line or "redis-server" in line)
    os.kill(int(redis.split()[0]), signal.SIGKILL)
    assert dev.wait(15) == 1
    assert "error: the redis: it ended with exit status -9" in dev.output()
    assert_gone(tmp_path)


def test_a_host_that_is_not_ours_is_named() -> None:
    for host in ("nowhere.invalid", "203.0.113.7"):
        refused = run_bridge("dev", "--host", host)
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"error: cannot listen on {host} port 8080: ")
        assert "Traceback" not in refused.stderr


def test_a_port_that_is_taken_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Process([BRIDGE, "dev", "--port", str(port)], log=tmp_path / "dev.log") as dev:
            assert dev.wait(15) == 1
            assert f"port {port} of 127.0.0.1 is taken" in dev.output()
            assert f"{shlex.quote(str(BRIDGE))} dev --port 0" in dev.output()
