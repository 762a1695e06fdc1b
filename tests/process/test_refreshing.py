"""What a process looks at again and again, for as long as it runs."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from pathlib import Path

import pytest

from bridge import metrics
from bridge.http.server import listen
from bridge.ingress.ingress import Ingress
from bridge.process import app
from bridge.process.app import Bridge
from bridge.settings import BridgeSettings
from common.settings import load_settings, settings_group


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


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `.env`, which is all that sets anything; each change of it counts as one of long ago."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("BRIDGE_")]:
        monkeypatch.delenv(name)
    return tmp_path / ".env"


def write(env_file: Path, *lines: str, age_s: float = 60.0) -> None:
    env_file.write_text("\n".join(lines))
    write.changes += 1  # type: ignore[attr-defined]
    at = time.time() - age_s + write.changes / 1000  # type: ignore[attr-defined]
    os.utime(env_file, (at, at))


write.changes = 0  # type: ignore[attr-defined]
TOKEN_A, TOKEN_B = (f"""BRIDGE_APPS='{{"1400000000":["{token}"]}}'""" for token in ("a", "b"))


def tokens(settings: BridgeSettings) -> list[str]:
    return [token.get_secret_value() for token in settings.apps["1400000000"]]


def test_tokens_and_allow_list_are_read_again_when_the_env_file_changes_and_what_is_wrong_keeps_the_former(
    env_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    write(env_file, TOKEN_A, """BRIDGE_ALLOWED_NETWORKS='["192.0.2.0/24"]'""")
    settings = load_settings(BridgeSettings)
    assert settings.latest() is settings

    write(env_file, TOKEN_B, """BRIDGE_ALLOWED_NETWORKS='["198.51.100.0/24"]'""", "BRIDGE_GATHER_MS=5")
    latest = settings.latest()
    assert tokens(latest) == ["b"]
    assert latest.static_networks == [ipaddress.ip_network("198.51.100.0/24")]
    assert latest.gather_ms == settings.gather_ms
    assert "BRIDGE_APPS has changed in .env and was read anew" in caplog.text
    assert "BRIDGE_GATHER_MS has changed in .env, and takes effect with the next reload or start" in caplog.text
    assert settings.refused == ""

    write(env_file, TOKEN_A, """BRIDGE_ALLOWED_NETWORKS='["nowhere"]'""")
    assert tokens(settings.latest()) == ["b"], "nothing is taken of a file in which something is wrong"
    assert "BRIDGE_ALLOWED_NETWORKS" in settings.refused

    env_file.unlink()
    assert tokens(settings.latest()) == ["b"]
    assert "is gone" in settings.refused

    write(env_file, TOKEN_A)
    assert tokens(settings.latest()) == ["a"]
    assert settings.refused == ""


def test_a_file_that_may_not_be_written_to_its_end_is_not_read_yet(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_group, "SETTLED_AFTER_S", 3600.0)  # However late the machine is, it was just now.
    write(env_file, TOKEN_A)
    settings = load_settings(BridgeSettings)
    write(env_file, TOKEN_B, age_s=-1.0)
    os.utime(env_file)
    assert tokens(settings.latest()) == ["a"]
    os.utime(env_file, (0, 0))
    assert tokens(settings.latest()) == ["b"]


def is_open(bridge: Bridge) -> bool:
    return bridge._ingress._addresses.is_open


async def test_a_changed_allow_list_holds_at_once_and_one_that_is_wrong_is_told_in_the_metrics(
    env_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "REFRESH_INTERVAL_S", 0.01)
    rest = (
        TOKEN_A,
        "BRIDGE_ADMIN_PORT=0",
        "BRIDGE_KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1",
        f"BRIDGE_JOURNAL_DIR={tmp_path}/j",
    )
    write(env_file, *rest)
    bridge = Bridge(load_settings(BridgeSettings))
    await bridge.start()
    bridge.accept(listen("127.0.0.1", 0))
    assert is_open(bridge)
    write(env_file, *rest, """BRIDGE_ALLOWED_NETWORKS='["192.0.2.0/24"]'""")
    async with asyncio.timeout(60):
        while is_open(bridge):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert metrics.REGISTRY.get_sample_value("bridge_settings_refused") == 0
    write(env_file, *rest, "BRIDGE_ALLOWED_NETWORKS=nowhere")
    async with asyncio.timeout(60):
        while not metrics.REGISTRY.get_sample_value("bridge_settings_refused"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not is_open(bridge)
    await bridge.stop(2.0)
