"""The commands of README and docs/ that need Docker, run where an engine answers."""

from __future__ import annotations

import json
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import Page, pages
from tests.docs.reader import Reader
from tests.support.container import docker_answers
from tests.support.paths import ROOT
from tests.support.ports import free_port

TIME_LIMIT_S = 600.0
WITH_DOCKER = [
    page for page in pages() if "zh-CN" not in page.path and any(block.kind == "docker" for block in page.shell())
]


def answers() -> bool:
    """Whether Docker does what the pages need: an engine and compose."""
    if not shutil.which("docker") or not docker_answers():
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.fixture
def docker_reader(tmp_path: Path) -> Iterator[Reader]:
    """A reader whose stack, images and ports are his own; all is removed afterwards."""
    if not answers():
        pytest.skip("no Docker engine with compose answers")
    name = f"im-bridge-docs-{uuid.uuid4().hex[:6]}"
    env = {
        "COMPOSE_PROJECT_NAME": name,
        "IM_BRIDGE_IMAGE": name,
        "BRIDGE_PORT": str(free_port()),
        "KAFKA_PORT": str(free_port()),
        "CONSOLE_PORT": str(free_port()),
    }
    edits = {
        "BRIDGE_BIND=0.0.0.0": "BRIDGE_BIND=127.0.0.1",
        "--tag notify ": f"--tag {name}-notify ",
        "--rm notify ": f"--rm {name}-notify ",
        "FROM im-bridge": f"FROM {name}",
    }
    reader = Reader(tmp_path, edits, env)
    yield reader
    subprocess.run(
        ["docker", "compose", "--project-name", name, "down", "--volumes", "--remove-orphans", "--timeout=20"],
        capture_output=True,
        check=True,
    )
    subprocess.run(["docker", "rmi", "--force", f"{name}-notify", name], capture_output=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(TIME_LIMIT_S + 120)
@pytest.mark.parametrize("page", WITH_DOCKER, ids=str)
def test_what_needs_docker_can_be_pasted_from_the_beginning_to_the_end(page: Page, docker_reader: Reader) -> None:
    blocks = [block for block in page.blocks if block.kind == "docker" or block.file]
    docker_reader.do(blocks, timeout_s=TIME_LIMIT_S)


def test_the_override_for_a_worker_of_ones_own_fits_the_compose_file(tmp_path: Path) -> None:
    if not answers():
        pytest.skip("no Docker engine with compose answers")
    (block,) = (block for page in pages() for block in page.blocks if block.file == "compose.notify.yml")
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    (tmp_path / block.file).write_text(block.code)
    command = ["docker", "compose", "-f", "docker-compose.yml", "-f", block.file, "config", "--format", "json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    notify = json.loads(done.stdout)["services"]["notify"]
    assert notify["command"] == ["consumers", "run", "notify:Notify"]
    assert notify["healthcheck"], "it is waited for as the others are"
