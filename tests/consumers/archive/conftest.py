"""The archive of the stand-in for the platform, as a user of it has it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest

from consumers.archive.retry_policy import RetryPolicy
from consumers.settings import ConsumersSettings
from tests.support.im_platform import ImPlatform


class MakeSettings(Protocol):
    """Settings for the stand-in, with these changes."""

    def __call__(self, **changes: Any) -> ConsumersSettings: ...


@pytest.fixture
def archive_settings(platform: ImPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSettings:
    """Settings with a work folder of the test; no wait between two attempts takes long."""
    monkeypatch.setattr(
        "consumers.archive.archive.RetryPolicy", partial(RetryPolicy, first_wait_s=0.01, max_wait_s=0.02)
    )

    def make(**changes: Any) -> ConsumersSettings:
        settings = {
            "im_apps": platform.credentials(),
            "archive_dir": tmp_path / "archive",
            "archive_calls_per_s": 10,
            "archive_attempts": 3,
        }
        return ConsumersSettings.model_validate(settings | changes)

    return make
