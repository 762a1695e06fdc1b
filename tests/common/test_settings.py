"""Settings: clear errors, secrets from files, nothing secret shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.settings import BridgeSettings
from common.settings import load_settings
from common.settings.reference import reference


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("apps", "problem"),
    [
        ("{}", "no app is named"),
        ('{"abc":[]}', "no SdkAppid"),
        ('{"1400000000":[""]}', "empty token"),
    ],
)
def test_wrong_apps_are_explained(
    apps: str, problem: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BRIDGE_APPS", apps)
    with pytest.raises(SystemExit) as ended:
        load_settings(BridgeSettings)
    assert ended.value.code == 2
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value", "such_as"),
    [("BRIDGE_JOURNAL_MAX_BYTES", "4GiB", "2147483648"), ("BRIDGE_STOP_TIMEOUT_S", "8s", "8")],
)
def test_a_number_with_a_unit_is_told_how_to_write_it(
    variable: str, value: str, such_as: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BRIDGE_APPS", '{"1400000000":["token-a"]}')
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit):
        load_settings(BridgeSettings)
    assert f"{variable}: it is no number in digits alone, such as {such_as}" in capsys.readouterr().err


def test_a_missing_setting_says_how_to_set_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load_settings(BridgeSettings)
    assert "BRIDGE_APPS is not set" in (shown := capsys.readouterr().err)
    assert '{"1400000000":["token-a"]}' in shown


def test_a_setting_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("BRIDGE_APPS", '{"1400000000":["token-a"]}')
    monkeypatch.setenv("BRIDGE_JOURNAL_DRI", "/elsewhere")
    monkeypatch.setenv("BRIDGE_APP_FILE", "/elsewhere")
    monkeypatch.setenv("BRIDGE_SERVICE_HOST", "10.0.0.1")  # Kubernetes adds such ones.
    monkeypatch.setenv("BRIDGE_ALLOWED_IPS", "10.0.0.0/8")
    Path(".env").write_text("bridge_reply_deadline=100\nBRIDGE_PORT=8081\nBRIDGE_BIND=0.0.0.0\n")
    load_settings(BridgeSettings)
    told = ["BRIDGE_ALLOWED_IPS is no setting and has no effect"]
    told += [
        f"{name} is no setting and has no effect; is {meant} meant?"
        for name, meant in (
            ("BRIDGE_APP_FILE", "BRIDGE_APPS_FILE"),
            ("BRIDGE_JOURNAL_DRI", "BRIDGE_JOURNAL_DIR"),
            ("BRIDGE_REPLY_DEADLINE", "BRIDGE_REPLY_DEADLINE_MS"),
        )
    ]
    assert capsys.readouterr().err.splitlines() == [f"warning: {line}" for line in told]


def test_what_is_no_json_is_named_and_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BRIDGE_APPS", '{"1400000000":["s3cret')
    with pytest.raises(SystemExit):
        load_settings(BridgeSettings)
    shown = capsys.readouterr().err
    assert "BRIDGE_APPS is no JSON" in shown
    assert '{"1400000000":["token-a"]}' in shown
    assert "s3cret" not in shown


def test_an_empty_setting_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BRIDGE_APPS", "")
    with pytest.raises(SystemExit):
        load_settings(BridgeSettings)
    assert "BRIDGE_APPS is not set" in capsys.readouterr().err


def test_secrets_come_from_files_and_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apps").write_text('{"1400000000":["s3cret"]}\n')
    monkeypatch.setenv("BRIDGE_APPS_FILE", str(tmp_path / "apps"))
    settings = load_settings(BridgeSettings)
    assert settings.apps["1400000000"][0].get_secret_value() == "s3cret"
    assert "s3cret" not in repr(settings)


def test_the_name_of_a_file_may_stand_in_the_dotenv_file(tmp_path: Path) -> None:
    (tmp_path / "apps").write_text('{"1400000000":["s3cret"]}\n')
    (tmp_path / ".env").write_text(f"BRIDGE_APPS_FILE={tmp_path / 'apps'}\n")
    assert list(load_settings(BridgeSettings).apps) == ["1400000000"]


def test_a_secret_that_is_given_twice_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "apps").write_text('{"1400000000":["s3cret"]}\n')
    monkeypatch.setenv("BRIDGE_APPS", '{"1":["a"]}')
    monkeypatch.setenv("BRIDGE_APPS_FILE", str(tmp_path / "apps"))
    with pytest.raises(SystemExit):
        load_settings(BridgeSettings)
    assert capsys.readouterr().err == (
        "error: BRIDGE_APPS and BRIDGE_APPS_FILE are both set: remove one, or leave it empty\n"
    )
    monkeypatch.setenv("BRIDGE_APPS", "")
    assert list(load_settings(BridgeSettings).apps) == ["1400000000"]


def test_the_dotenv_file_is_read_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text('BRIDGE_APPS={"1":["a"]}\nBRIDGE_PORT=1234\nBRIDGE_TOPIC=t\n')
    monkeypatch.setenv("BRIDGE_PORT", "4321")
    settings = load_settings(BridgeSettings)
    assert (settings.port, settings.topic) == (4321, "t")


def test_sasl_without_credentials_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BRIDGE_APPS", '{"1":[]}')
    monkeypatch.setenv("BRIDGE_KAFKA_SECURITY_PROTOCOL", "SASL_SSL")
    with pytest.raises(SystemExit):
        load_settings(BridgeSettings)
    assert "KAFKA_SASL_USERNAME" in capsys.readouterr().err


def test_every_setting_is_documented() -> None:
    entries = [entry for section in reference(BridgeSettings) for entry in section.entries]
    assert [entry.variable for entry in entries if not entry.meaning] == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"1400000000":["s3cret"', "holds no JSON"),
        (b"s3cret", "holds no JSON"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe{\x00}\x00", "is no text in UTF-8"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_holds_what_is_wrong_is_named_and_not_shown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    problem: str,
) -> None:
    if content is not None:
        (tmp_path / "apps").write_bytes(content)
    monkeypatch.setenv("BRIDGE_APPS_FILE", str(tmp_path / "apps"))
    with pytest.raises(SystemExit) as ended:
        load_settings(BridgeSettings)
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith(f"error: BRIDGE_APPS_FILE names {tmp_path / 'apps'}, which {problem}")
    assert shown.count("\n") == 1
    assert "s3cret" not in shown


def test_a_mark_of_byte_order_that_an_editor_has_left_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "apps").write_bytes(b'\xef\xbb\xbf{"1400000000":["s3cret"]}\r\n')
    monkeypatch.setenv("BRIDGE_APPS_FILE", str(tmp_path / "apps"))
    assert list(load_settings(BridgeSettings).apps) == ["1400000000"]


def test_new_tokens_in_the_file_are_the_latest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "apps"
    file.write_text('{"1400000000":["s3cret"]}')
    monkeypatch.setenv("BRIDGE_APPS_FILE", str(file))
    settings = load_settings(BridgeSettings)
    file.write_text('{"1400000000":["another","s3cret"],"1400000001":["third"]}')
    assert list(settings.latest().apps) == ["1400000000", "1400000001"]
    assert list(settings.apps) == ["1400000000"]
