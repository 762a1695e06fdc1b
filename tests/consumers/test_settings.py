"""Settings of the workers that take more than one value, and are explained when they are wrong."""

from __future__ import annotations

import pytest

from common.settings import load_settings
from consumers.settings import SITES, ConsumersSettings, ImApp


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("china", "https://console.tim.qq.com"),
        ("singapore", "https://adminapisgp.im.qcloud.com"),
        ("im.example.org", "https://im.example.org"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
    ],
)
def test_the_host_is_chosen_by_site_name_or_address(host: str, url: str) -> None:
    assert ImApp.model_validate({"secret_key": "x", "host": host}).url == url


def test_every_site_has_a_host_of_its_own() -> None:
    assert len(SITES) == len(set(SITES.values())) == 7


@pytest.mark.parametrize(
    "apps", ['{"x":{"secret_key":"hidden"}}', '{"1":{"secret_key":"hidden","hosts":"china"}}', '{"1":"hidden"']
)
def test_wrong_credentials_are_explained_without_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], apps: str
) -> None:
    monkeypatch.setenv("CONSUMERS_IM_APPS", apps)
    with pytest.raises(SystemExit):
        load_settings(ConsumersSettings)
    shown = capsys.readouterr().err
    assert shown.startswith("error: CONSUMERS_IM_APPS: ")
    assert "hidden" not in shown


def test_variables_that_are_set_but_empty_count_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONSUMERS_IM_APPS", "CONSUMERS_FORWARD_URL", "CONSUMERS_FORWARD_SECRET"):
        monkeypatch.setenv(name, "")
    settings = load_settings(ConsumersSettings)
    assert (settings.im_apps, settings.forward_url, settings.forward_secret) == ({}, None, None)


def test_settings_that_are_printed_hide_the_secret_key() -> None:
    settings = ConsumersSettings.model_validate({"im_apps": '{"1":{"secret_key":"hidden"}}'})
    assert settings.im_apps["1"].secret_key.get_secret_value() == "hidden"
    assert "hidden" not in repr(settings)
