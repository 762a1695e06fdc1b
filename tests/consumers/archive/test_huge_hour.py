"""An hour that is larger than memory is read in memory that stays flat."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consumers.archive.hour import Hour
from tests.support.im_archive import huge_file
from tests.support.im_platform import APP_ID, ImPlatform
from tests.support.paths import ROOT

HOUR = Hour.of(datetime.now(UTC) - timedelta(hours=30))
MOST_MORE_KIB = 48 * 1024
"""200,000 messages as objects have some 150 MB, 10,000,000 lines 2.2 GB."""


@pytest.mark.parametrize(
    "messages", [200_000, pytest.param(10_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_memory_stays_flat(platform: ImPlatform, tmp_path: Path, messages: int) -> None:
    file = huge_file(tmp_path / "huge.gz", APP_ID, HOUR, messages)
    platform.archive.store("c2c", HOUR, file)
    env = {
        **os.environ,
        "CONSUMERS_IM_APPS": platform.credentials(),
        "CONSUMERS_ARCHIVE_DIR": str(tmp_path / "archive"),
    }
    command = [sys.executable, "-m", "tests.consumers.archive.reading", HOUR.name]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    took = json.loads(done.stdout)
    assert took["messages"] == messages, took
    assert took["in_order"]
    assert took["most_kib"] - took["before_kib"] < MOST_MORE_KIB, took
    assert file.file_size > messages * 200
