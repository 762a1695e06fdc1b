"""Every command of README and docs/ does what a reader expects who pastes it, one after the other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.docs.markdown import Block, Page, pages
from tests.docs.reader import on_this_machine
from tests.support.broker import Broker
from tests.support.redis import RedisServer

TIME_LIMIT_S = 600.0
"""Of a page. README installs the production parts anew, which takes as long as the package index does."""


def run_here(page: Page) -> bool:
    """Whether something of the page can be run without Docker."""
    return any(block.kind not in ("docker", "checked") for block in page.shell())


def needs_installation(page: Page) -> bool:
    """Whether a page is for who did what README says about an installation."""
    code = "".join(block.code for block in page.shell())
    return ("/opt/im-bridge/bin/" in code or ":9090/" in code) and "venv /opt/im-bridge" not in code


@pytest.mark.slow
@pytest.mark.timeout(TIME_LIMIT_S + 60)
@pytest.mark.parametrize("page", [page for page in pages() if run_here(page) and "zh-CN" not in page.path], ids=str)
def test_a_page_can_be_pasted_from_its_beginning_to_its_end(
    page: Page, tmp_path: Path, broker: Broker, redis_server: RedisServer
) -> None:
    reader = on_this_machine(tmp_path, kafka=broker.bootstrap, redis=redis_server.url)
    before = reader.install() if needs_installation(page) else []
    printed = reader.do([*before, *(block for block in page.blocks if block.kind != "docker")], timeout_s=TIME_LIMIT_S)
    for block in page.shell():
        assert (f"== {block}" in printed) is (block.kind not in ("docker", "checked"))


@pytest.mark.parametrize("block", [block for page in pages() for block in page.shell()], ids=str)
def test_a_block_of_commands_is_right_in_its_syntax(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_only_few_blocks_are_not_run_at_all() -> None:
    every = [block for page in pages() for block in page.shell() if "zh-CN" not in page.path]
    unrun = [str(block) for block in every if block.kind == "checked"]
    assert len(every) > 20
    assert len(unrun) <= len(every) // 3, unrun
