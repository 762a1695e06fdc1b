"""The allow-list that keeps itself: what it does with answers, failures and files, against a platform of our own."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bridge.ingress import allow_list
from bridge.ingress.addresses import AddressFilter
from bridge.ingress.allow_list import AllowList
from bridge.ingress.networks_file import NetworksFile
from bridge.settings import BridgeSettings
from tests.support.im_platform import APP_ID, SECRET_KEY, ImPlatform

OTHER_APP = "1400000009"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(allow_list, "LOOK_INTERVAL_S", 0.02)
    monkeypatch.setattr(allow_list, "RETRY_FIRST_S", 0.05)
    for name in ("FIRST_ANSWER_S", "FILE_S", "WRITE_S"):  # A machine may be busy.
        monkeypatch.setattr(allow_list, name, 60.0)


def settings_of(platform: ImPlatform, folder: Path, **given: Any) -> BridgeSettings:
    fields = {
        "apps": {APP_ID: ["token"]},
        "journal_dir": folder,
        "allowed_networks": ["auto"],
        "allowed_networks_region": "china",
        "im_apps": platform.credentials(),
    }
    return BridgeSettings.model_validate(fields | given)


class Gate:
    """An allow-list that is kept, and the filter that goes by it."""

    def __init__(self, settings: BridgeSettings) -> None:
        self._filter = AddressFilter.from_settings(settings)
        self.kept = AllowList(settings, self._filter.allow)

    def admits(self, address: str) -> bool:
        return self._filter.is_open or self._filter.refusal(address, "") is None

    def advice(self, address: str) -> str:
        refusal = self._filter.refusal(address, "")
        assert refusal is not None
        return refusal.advice


@asynccontextmanager
async def started(settings: BridgeSettings) -> AsyncIterator[Gate]:
    gate = Gate(settings)
    await gate.kept.start()
    await gate.kept.settle()
    try:
        yield gate
    finally:
        await gate.kept.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


async def test_the_first_answer_is_waited_for_and_who_is_refused_is_told_where_the_list_is_from(
    platform: ImPlatform, tmp_path: Path
) -> None:
    platform.networks["5"] = ["203.0.113.0/24"]
    settings = settings_of(platform, tmp_path, allowed_networks=["auto", "192.0.2.0/24"])
    async with started(settings) as gate:
        assert [gate.admits(one) for one in ("203.0.113.9", "192.0.2.9", "198.51.100.9")] == [True, True, False]
        assert "allowed are 2 networks, named by the platform" in gate.advice("198.51.100.9")
        assert "with the 1 of BRIDGE_ALLOWED_NETWORKS" in gate.advice("198.51.100.9")
        assert gate.kept.problem == ""
        assert gate.kept.age_s < 60


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (60007, "error 60007"),
        (50003, "see BRIDGE_IM_APPS: secret_key and identifier"),
        (70001, "the clock of this machine"),
        ("http:502", "see host in BRIDGE_IM_APPS"),
    ],
)
async def test_until_there_is_an_answer_all_may_post_and_it_is_asked_again_soon(
    platform: ImPlatform, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: int | str, told: str
) -> None:
    platform.networks["5"] = ["203.0.113.0/24"]
    platform.fault = lambda _: fault
    async with started(settings_of(platform, tmp_path)) as gate:
        assert gate.admits("198.51.100.9")
        assert math.isinf(gate.kept.age_s)
        assert told in gate.kept.problem
        await until(lambda: platform.asked("nettype=5") >= 3)
        errors = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(errors) == 1, "once, not with each question"
        assert "callbacks of ANY address are accepted" in errors[0]
        assert told in errors[0]
        platform.fault = lambda _: None
        await until(lambda: not gate.admits("198.51.100.9"))
        assert gate.admits("203.0.113.9")
    assert SECRET_KEY not in caplog.text


async def test_a_platform_that_does_not_answer_holds_up_the_start_for_a_moment_only(
    platform: ImPlatform, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allow_list, "FIRST_ANSWER_S", 0.05)
    platform.delay_s = 3600
    async with started(settings_of(platform, tmp_path)) as gate:
        assert gate.admits("198.51.100.9")
        assert "it has not answered so far" in caplog.text


@pytest.mark.parametrize(("tokens", "told"), [(["token"], "if their Sign is right"), ([], "has no Sign that would")])
async def test_what_still_protects_an_app_meanwhile_is_told_as_it_is(
    platform: ImPlatform, tmp_path: Path, caplog: pytest.LogCaptureFixture, tokens: list[str], told: str
) -> None:
    async with started(settings_of(platform, tmp_path, apps={APP_ID: ["token"], OTHER_APP: tokens})):
        assert told in caplog.text


async def test_a_good_answer_outlasts_failures_and_a_restart_and_no_answer_that_is_bad_takes_its_place(
    platform: ImPlatform, tmp_path: Path
) -> None:
    platform.networks["5"] = ["203.0.113.0/24"]
    settings = settings_of(platform, tmp_path)
    async with started(settings):
        pass
    for bad in ([], ["0.0.0.0/0"], ["10.0.0.1", 7, None], ["203.0.113.0/24"] * 5000, "203.0.113.0/24"):
        platform.networks["5"] = bad
        async with started(settings) as gate:
            assert [gate.admits(one) for one in ("203.0.113.9", "198.51.100.9")] == [True, False]
            await until(lambda: gate.kept.problem)
    platform.fault = lambda _: "http:502"
    async with started(settings) as gate:
        assert [gate.admits(one) for one in ("203.0.113.9", "198.51.100.9")] == [True, False]


async def test_an_answer_that_is_far_smaller_is_told_and_takes_nothing_away_at_once(
    platform: ImPlatform, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    platform.networks["5"] = [f"203.0.113.{number}" for number in range(20)]
    settings = settings_of(platform, tmp_path)
    async with started(settings):
        pass
    platform.networks["5"] = ["203.0.113.1", "nonsense"]
    async with started(settings) as gate:
        await until(lambda: "names 1 network where it named 20 before" in caplog.text)
        assert all(gate.admits(f"203.0.113.{number}") for number in range(20))
        assert "the others may post for 24 h more" in caplog.text
        assert "names what is not accepted (app 1400000000, nettype 5): 'nonsense' is no network" in caplog.text


async def test_with_both_lists_asked_for_one_alone_closes_nothing(
    platform: ImPlatform, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    platform.networks["5"] = ["203.0.113.0/24"]
    async with started(settings_of(platform, tmp_path, allowed_networks_region="any")) as gate:
        assert gate.admits("198.51.100.9"), "the platform may call from the other list"
        assert "the platform has named one of its two lists alone: callbacks of ANY address" in caplog.text
        assert "Say in BRIDGE_ALLOWED_NETWORKS_REGION where your server is" in caplog.text
        assert gate.kept.described() == "any address: the platform has named one of its two lists alone"
        platform.networks["6"] = ["192.0.2.0/24"]
        await until(lambda: not gate.admits("198.51.100.9"))
        assert gate.admits("203.0.113.9")
        assert gate.admits("192.0.2.9")


async def test_of_several_apps_one_that_is_refused_hides_no_answer_to_another(
    platform: ImPlatform, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    platform.networks["5"] = ["203.0.113.0/24"]
    apps = json.loads(platform.credentials())
    apps[OTHER_APP] = {**apps[APP_ID], "secret_key": "wrong"}
    async with started(settings_of(platform, tmp_path, im_apps=apps)) as gate:
        assert not gate.admits("198.51.100.9")
        assert f"(app {OTHER_APP}, nettype 5: " in gate.kept.problem
        assert "the platform does not say which networks it calls from" in caplog.text
        await until(lambda: platform.asked("nettype=5") >= 4)  # Soon, not when the good one is due.


async def test_services_with_other_apps_on_the_same_folder_ask_and_keep_each_their_own(
    platform: ImPlatform, tmp_path: Path
) -> None:
    platform.networks = {"5": ["203.0.113.0/24"], "6": ["192.0.2.0/24"]}
    in_china, abroad = (
        settings_of(platform, tmp_path, allowed_networks_region=region) for region in ("china", "abroad")
    )
    async with started(in_china) as one, started(abroad) as another:
        assert [one.admits(address) for address in ("203.0.113.9", "192.0.2.9")] == [True, False]
        assert [another.admits(address) for address in ("203.0.113.9", "192.0.2.9")] == [False, True]
    platform.fault = lambda _: "http:502"
    async with started(in_china) as one, started(abroad) as another:
        assert [one.admits(address) for address in ("203.0.113.9", "192.0.2.9")] == [True, False]
        assert [another.admits(address) for address in ("203.0.113.9", "192.0.2.9")] == [False, True]


async def test_an_answer_a_part_of_which_cannot_be_read_takes_nothing_away(
    platform: ImPlatform, tmp_path: Path
) -> None:
    platform.networks["5"] = ["203.0.113.0/24", "192.0.2.0/24"]
    settings = settings_of(platform, tmp_path, allowed_networks_keep_s=0, allowed_networks_interval_s=1)
    async with started(settings) as gate:
        platform.networks["5"] = ["192.0.2.0/244", "203.0.113.0/24", "198.51.100.0/24"]
        await until(lambda: gate.admits("198.51.100.9"))
        assert gate.admits("192.0.2.9")
        platform.networks["5"] = ["203.0.113.0/24", "198.51.100.0/24"]
        await until(lambda: not gate.admits("192.0.2.9"))


@pytest.mark.parametrize("content", [b"{", b'{"format":7}', b'{"format":1,"lists":{"1400000000/5":[]}}'])
async def test_a_file_that_cannot_be_used_is_told_and_written_anew(
    platform: ImPlatform, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file = NetworksFile(tmp_path)
    file.path.write_bytes(content)
    platform.fault = lambda _: "http:502"
    settings = settings_of(platform, tmp_path)
    async with started(settings) as gate:
        assert gate.admits("198.51.100.9")
        assert f"{file.path} " in caplog.text
        assert "and is not used. It is written anew" in caplog.text
        platform.networks["5"] = ["203.0.113.0/24"]
        platform.fault = lambda _: None
        await until(lambda: not gate.admits("198.51.100.9"))
        await until(lambda: file.path.read_bytes() != content)
        assert file.read_if_changed()


async def test_where_the_disk_fails_each_process_asks_for_itself_and_it_is_told(
    platform: ImPlatform, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "journal").write_text("a file where a folder should be")
    platform.networks["5"] = ["203.0.113.0/24"]
    settings = settings_of(platform, tmp_path / "journal")
    async with started(settings) as one, started(settings) as another:
        for gate in (one, another):
            assert not gate.admits("198.51.100.9")
            assert gate.admits("203.0.113.9")
            assert "cannot be written" in gate.kept.problem
        assert platform.asked("nettype=5") == 2
        assert "what the platform names does not outlast a restart" in caplog.text
        (tmp_path / "journal").unlink()  # It is well again.
        file = NetworksFile(tmp_path / "journal")
        await until(lambda: file.path.exists() and not one.kept.problem and not another.kept.problem)
        assert file.read_if_changed()


async def test_one_process_asks_and_another_follows_what_it_wrote_and_asks_when_it_is_gone(
    platform: ImPlatform, tmp_path: Path
) -> None:
    platform.networks["5"] = ["203.0.113.0/24"]
    settings = settings_of(platform, tmp_path)
    async with started(settings) as another:
        async with started(settings) as gate:
            assert not gate.admits("198.51.100.9")
            assert platform.asked("nettype=5") == 1
            platform.networks["5"] = ["198.51.100.0/24"]
            await another.kept.stop()
            await until(lambda: gate.admits("198.51.100.9"))
        assert platform.asked("nettype=5") == 2


async def test_a_fault_that_nobody_thought_of_ends_nothing(
    platform: ImPlatform, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allow_list, "FIRST_ANSWER_S", 0.05)
    platform.networks["5"] = ["203.0.113.0/24"]
    with monkeypatch.context() as patched:
        patched.setattr(allow_list, "ask_for_networks", lambda *_: 1 / 0)
        async with started(settings_of(platform, tmp_path)) as gate:
            await until(lambda: "ZeroDivisionError" in caplog.text)
            assert gate.admits("198.51.100.9")
            patched.undo()
            await until(lambda: not gate.admits("198.51.100.9"))
