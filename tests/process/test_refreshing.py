"""What a process looks at again and again, for as long as it runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bridge.http.server import listen
from bridge.ingress.ingress import Ingress
from bridge.process import app
from bridge.process.app import Bridge
from bridge.settings import BridgeSettings
from common.settings import load_settings


async def test_tokens_are_looked_at_again_after_a_look_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = 0
    looked_again = asyncio.Event()

    def look(_ingress: Ingress) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("a fault that nobody thought of")
        looked_again.set()

    monkeypatch.setattr(Ingress, "take_new_tokens", look)
    monkeypatch.setattr(app, "REFRESH_INTERVAL_S", 0.01)
    settings = BridgeSettings.model_validate(
        {"apps": {"1": ["token"]}, "journal_dir": tmp_path, "admin_port": 0, "kafka_bootstrap_servers": "127.0.0.1:1"}
    )
    bridge = Bridge(settings)
    await bridge.start()
    bridge.accept(listen("127.0.0.1", 0))
    await asyncio.wait_for(looked_again.wait(), 60)
    await bridge.stop(2.0)
    assert "a fault that nobody thought of" in caplog.text


async def test_an_app_that_loses_its_tokens_while_we_run_is_told_as_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "apps"
    file.write_text('{"1400000000":["token"]}')
    for name, value in {
        "BRIDGE_APPS_FILE": str(file),
        "BRIDGE_JOURNAL_DIR": str(tmp_path / "journal"),
        "BRIDGE_ADMIN_PORT": "0",
        "BRIDGE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("BRIDGE_APPS", raising=False)
    monkeypatch.setattr(app, "REFRESH_INTERVAL_S", 0.01)
    bridge = Bridge(load_settings(BridgeSettings))
    await bridge.start()
    bridge.accept(listen("127.0.0.1", 0))
    file.write_text('{"1400000000":[]}')
    async with asyncio.timeout(60):
        while "app 1400000000 has no token: anybody who knows the URL can post" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await bridge.stop(2.0)
