"""Workers by name, as they are given on the command line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import typer

from consumers.badges import Badges
from consumers.commands.find_worker import find_worker
from consumers.forward import Forward


def test_the_workers_of_this_package_have_short_names() -> None:
    assert find_worker("badges") is find_worker("consumers.badges:Badges") is Badges
    assert find_worker("forward") is Forward


def test_a_class_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "found_here.py").write_text(
        "from consumers.worker import Worker\nclass Mine(Worker):\n    name = 'mine'\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", sys.path[:])
    assert find_worker("found_here:Mine").name == "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("badgers", "there is no worker badgers: take badges, forward, or a class of yours"),
        ("no.such.module:Worker", "the worker no.such.module:Worker cannot be imported"),
        ("json:Nothing", "the module json has no Nothing"),
        ("json:JSONDecoder", "make it a subclass of consumers.worker.Worker"),
        ("consumers.worker:Worker", "consumers.worker:Worker has no name"),
    ],
)
def test_a_name_that_is_no_worker_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.setattr("sys.path", sys.path[:])
    with pytest.raises(typer.Exit) as caught:
        find_worker(name)
    assert caught.value.exit_code == 1
    assert message in capsys.readouterr().err
