"""Workers by name, as they are given on the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from consumers.badges import Badges
from consumers.commands.find_worker import find_worker, make_worker
from consumers.forward import Forward


def test_the_workers_of_this_package_have_short_names() -> None:
    assert find_worker("badges") is find_worker("consumers.badges:Badges") is Badges
    assert find_worker("forward") is Forward


def test_a_class_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "found_here.py").write_text(
        "from consumers.worker import Worker\nclass Mine(Worker):\n    name = 'mine'\n"
        "    async def handle(self, batch): ...\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path[:])
    assert find_worker("found_here:Mine").name == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "badgers",
            "there is no worker badgers (is badges meant?): take badges, forward, reconcile, audit, or a class of",
        ),
        ("reconsile", "(is reconcile meant?)"),
        ("xyz", "there is no worker xyz: take badges"),
        ("no.such.module:Worker", "cannot be imported: there is no module no"),
        ("json:Nothing", "the module json has no Nothing"),
        ("json:JSONDecoder", "make it a subclass of consumers.worker.Worker"),
        ("consumers.worker:Worker", "consumers.worker:Worker is not complete: it lacks handle"),
        (":", "is no name of a worker"),
        ("json:", "is no name of a worker"),
        ("./no.py:Worker", "there is no file ./no.py"),
    ],
)
def test_a_name_that_is_no_worker_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setattr("sys.path", sys.path[:])
    with pytest.raises(typer.Exit) as caught:
        find_worker(name)
    assert caught.value.exit_code == 2
    assert message in capsys.readouterr().err


HEAD = "from consumers.worker import Worker\n"
NOTIFY = f"{HEAD}class Notify(Worker):\n    name = 'notify'\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder of a test that imports from it what no other may find."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path[:])
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        del sys.modules[name]


@pytest.mark.parametrize(
    "name", ["./notify.py:Notify", "notify.py:Notify", "notify:Notify", "{folder}/notify.py:Notify"]
)
def test_a_class_is_found_by_the_path_of_its_file_which_may_import_from_beside_it(folder: Path, name: str) -> None:
    (folder / "beside.py").write_text("NAME = 'from beside'\n")
    (folder / "notify.py").write_text(
        f"from beside import NAME\n{HEAD}class Notify(Worker):\n"
        "    name = NAME\n    async def handle(self, batch): ...\n"
    )
    assert make_worker(name.format(folder=folder)).name == "from beside"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (f"{NOTIFY}    def handle(self, batch): ...\n", "has a handle that is not async: write `async def handle"),
        (f"{NOTIFY}    async def handle(self, batch): yield\n", "has a handle that is not async"),
        (f"{NOTIFY}    async def handle(self): ...\n", "has a handle that takes other arguments"),
        (f"{NOTIFY}    async def handle(self, one, two): ...\n", "has a handle that takes other arguments"),
        (NOTIFY, "is not complete: it lacks handle"),
        (f"{NOTIFY}    async def handle(self, batch): ...\n    async def read(self, r): ...\n", "read that is async"),
        (f"{NOTIFY}    async def handle(self, batch): ...\n    def start(self, c): ...\n", "start that is not async"),
        (f"{NOTIFY}    async def handle(self, batch): ...\n    event_types = 'im.x'\n", "write a set of types"),
        (f"{NOTIFY}    async def handle(self, batch): ...\n    event_types = 5\n", "write a set of types"),
        (f"{NOTIFY}    async def handle(self, batch): ...\n    event_types = {{5}}\n", "write a set of types"),
        (f"{NOTIFY}    async def handle(self, batch): ...\n    max_events = 0\n", "max_events = 0"),
        (f"{NOTIFY}    async def handle(self, batch): ...\n    name = 'a\\nb'\n", "none of a consumer group"),
        (f"{NOTIFY}    async def handle(self, batch): ...\n    name = ''\n", "has no name"),
        (f"{NOTIFY}    async def handle(self, batch): ...\n    name = 'badges'\n", "the consumer group of that worker"),
        (
            f"{NOTIFY}    async def handle(self, batch): ...\n    def __init__(self): {{}}['x']\n",
            "cannot be made without arguments: KeyError: 'x' (at notify.py:5)",
        ),
        (
            f"{NOTIFY}    async def handle(self, batch): ...\n    def __init__(self, url): ...\n",
            "cannot be made without arguments: TypeError",
        ),
        (
            f"{NOTIFY}    async def handle(self, batch): ...\n    def __init__(self): raise SystemExit('no licence')\n",
            "cannot be made without arguments: SystemExit: no licence (at notify.py:5)",
        ),
        ("class Stop(BaseException): ...\nraise Stop\n", "cannot be imported: Stop (at notify.py:2)"),
        ("import nothing_of_the_kind\n", "No module named 'nothing_of_the_kind' (at notify.py:1). Install it"),
        ("\nraise RuntimeError('no config')\n", "cannot be imported: RuntimeError: no config (at notify.py:2)"),
        ("class Notify(:\n", "cannot be imported: SyntaxError"),
        ("import sys\nsys.exit(3)\n", "cannot be imported: SystemExit: 3 (at notify.py:2)"),
        (f"{HEAD}class Notifi(Worker): ...\n", "has no Notify (is Notifi meant?)"),
    ],
)
@pytest.mark.parametrize("name", ["./notify.py:Notify", "notify:Notify"])
def test_a_class_that_can_be_no_worker_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], folder: Path, name: str, source: str, message: str
) -> None:
    (folder / "notify.py").write_text(source)
    with pytest.raises(typer.Exit):
        make_worker(name)
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize("name", ["notify", "notify.py", "./notify.py"])
def test_a_file_alone_is_answered_with_its_class(capsys: pytest.CaptureFixture[str], folder: Path, name: str) -> None:
    (folder / "notify.py").write_text(NOTIFY)
    with pytest.raises(typer.Exit):
        make_worker(name)
    assert "notify.py:Notify" in capsys.readouterr().err
