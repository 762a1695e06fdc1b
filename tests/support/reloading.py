"""An ingress is reloaded, and what it is reloaded to: another version of the program."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Any

from tests.support.commands import IngressProcess
from tests.support.http import request
from tests.support.paths import ROOT

NOWHERE = "127.0.0.1:1"
"""Where no Kafka is."""
PATIENT_S = 120


def reload_of(bridge: IngressProcess) -> dict[str, Any]:
    """What `/readyz` says of the last reload; nothing while nobody answers."""
    try:
        told = request("GET", f"{bridge.admin_url}/readyz").json["reload"]
    except OSError:
        return {}
    assert isinstance(told, dict)
    return told


def wait_for_reload(bridge: IngressProcess, number: int, state: str) -> dict[str, Any]:
    """What is said of that reload once it has come to that. Raises ProcessEndedError, TimeoutError."""
    told: dict[str, Any] = {}

    def has_come_to_that() -> bool:
        told.clear()
        told.update(reload_of(bridge))
        return told.get("number") == number and told["state"] == state

    bridge.wait_for(has_come_to_that, timeout=PATIENT_S, what=f"reload {number} to be {state}")
    return told


def reload(bridge: IngressProcess, number: int) -> None:
    """The ingress reloads for the `number`th time, and every process is another."""
    before = set(bridge.children())
    os.kill(bridge.pid, signal.SIGHUP)
    wait_for_reload(bridge, number, "done")
    assert not before & set(bridge.children())


def copied_program(folder: Path) -> Path:
    """A copy of the program, which may be replaced; for PYTHONPATH."""
    for package in ("bridge", "common"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def replace(module: Path, old: str, new: str) -> None:
    """Change the code of a module."""
    text = module.read_text()
    assert old in text
    module.write_text(text.replace(old, new))


def is_back(bridge: IngressProcess, killed: int) -> bool:
    """Whether another process serves in the place of the one that was killed."""
    return bridge.children() != [killed] and len(bridge.children()) == 1
