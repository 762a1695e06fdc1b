"""What is told of a disk that takes no journal."""

from __future__ import annotations

import asyncio
import errno
import itertools
from pathlib import Path
from typing import NoReturn

import pytest

from bridge.journal import files
from bridge.journal.journal import Journal
from bridge.journal.store import Store
from tests.journal.model import LIMITS
from tests.support.outlet import ToldOutlet

ENOUGH = 20


async def test_a_disk_that_is_read_only_is_told_once_a_minute_however_often_a_file_of_another_name_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    attempts = itertools.count(1)
    tried_enough = asyncio.Event()
    loop = asyncio.get_running_loop()

    def refuse(folder: Path, **_options: object) -> NoReturn:
        if (number := next(attempts)) == ENOUGH:
            loop.call_soon_threadsafe(tried_enough.set)
        raise OSError(errno.EROFS, "Read-only file system", str(folder / f"{number}.journal"))

    monkeypatch.setattr(Store, "create", staticmethod(refuse))
    monkeypatch.setattr(files, "REOPEN_FIRST_S", 0.001)
    monkeypatch.setattr(files, "REOPEN_MAX_S", 0.001)
    journal = Journal(tmp_path, LIMITS, ToldOutlet())
    await journal.start()
    await tried_enough.wait()
    assert journal.disk_problem == f"{tmp_path}: Read-only file system"
    await journal.stop(1.0)
    assert caplog.text.count("no journal can be written") == 1
