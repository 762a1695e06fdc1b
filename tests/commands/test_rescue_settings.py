"""Commands that look at journals read their settings where an ingress has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.settings.optional_apps import RescueSettings
from common.settings import load_settings


def test_an_env_file_that_has_the_settings_of_the_ingress_too_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text('BRIDGE_APPS=\'{"1":["t"]}\'\nBRIDGE_JOURNAL_DIR=/somewhere\n')
    monkeypatch.chdir(tmp_path)
    assert str(load_settings(RescueSettings).journal_dir) == "/somewhere"
