"""The code of README and docs/ is right: types, what it computes, what it parses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import orjson
import pytest

from bridge.contract.examples import events_of
from bridge.contract.samples import RECALLED
from bridge.events import parse_event
from consumers.forward import signature
from tests.docs.markdown import Block, page, pages
from tests.support.paths import ROOT

PYTHON = [block for page in pages() for block in page.blocks if block.language == "python"]
JSON = [block for page in pages() for block in page.blocks if block.language == "json"]
SECRET, QUERY, BODY = "a secret", "SdkAppid=1400000000&CallbackCommand=C2C.CallbackAfterSendMsg", '{"a":"ü"}'.encode()


@pytest.mark.slow
def test_all_python_code_is_typed(tmp_path: Path) -> None:
    assert len(PYTHON) >= 5
    for block in PYTHON:
        assert block.file, f"{block} has no name"
        (tmp_path / block.file).write_text(block.code)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", str(ROOT / "pyproject.toml")]
    files = [block.file for block in PYTHON]
    env = {**os.environ, "MYPYPATH": str(ROOT)}  # mypy does not see an editable installation
    done = subprocess.run([*command, *files], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_code_compiles(block: Block) -> None:
    compile(block.code, str(block), "exec")


@pytest.mark.parametrize("block", JSON, ids=str)
def test_json_is_json(block: Block) -> None:
    assert json.loads(block.code)


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_event_of_readme_is_the_one_that_the_demo_shows(readme: str) -> None:
    (block,) = (block for block in page(readme).blocks if block.language == "json")
    shown = orjson.loads(block.code)
    (made,) = map(orjson.loads, events_of(RECALLED.command, RECALLED.body))
    assert {**shown, "receivedtime": ""} == {**made, "receivedtime": ""}
    assert parse_event(block.code.encode()).subject == "Jonh"


@pytest.fixture
def verify() -> ModuleType:
    """The code that docs/forward.md offers."""
    (block,) = (block for block in page("docs/forward.md").blocks if block.file == "verify.py")
    module = ModuleType("verify")
    exec(compile(block.code, str(block), "exec"), module.__dict__)
    return module


def test_the_signature_of_forward_is_verified_as_its_page_says(verify: ModuleType) -> None:
    now = str(int(time.time()))
    headers = {
        "X-Im-Bridge-Timestamp": now,
        "X-Im-Bridge-Signature": signature(SECRET.encode(), now, QUERY, BODY),
    }
    assert verify.is_authentic(SECRET, headers, QUERY, BODY)
    assert not verify.is_authentic("another", headers, QUERY, BODY)
    assert not verify.is_authentic(SECRET, headers, QUERY + "&x=1", BODY)
    assert not verify.is_authentic(SECRET, headers, QUERY, BODY + b" ")
    assert not verify.is_authentic(SECRET, {**headers, "X-Im-Bridge-Timestamp": str(int(now) + 1)}, QUERY, BODY)
    assert not verify.is_authentic(SECRET, {}, QUERY, BODY)
    assert not verify.is_authentic(SECRET, {**headers, "X-Im-Bridge-Signature": "ü"}, QUERY, BODY)


def test_an_old_post_is_refused_as_the_page_of_forward_says(verify: ModuleType) -> None:
    old = str(int(time.time()) - 3600)
    headers = {"X-Im-Bridge-Timestamp": old, "X-Im-Bridge-Signature": signature(SECRET.encode(), old, QUERY, BODY)}
    assert not verify.is_authentic(SECRET, headers, QUERY, BODY)
