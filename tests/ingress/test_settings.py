"""Settings that mean nothing are refused at the start, or told; what is meant is named."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from bridge.settings import BridgeSettings
from common.settings import load_settings

APPS = '{"1400000000":["token-a"]}'
IM_APPS = '{"1400000000":{"secret_key":"s3cret","host":"singapore"}}'
URL = "http://moderation:8000/decide"


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIDGE_APPS", APPS)


def by(*patterns: str, url: str = URL) -> str:
    return orjson.dumps(dict.fromkeys(patterns, url)).decode()


def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    """What is said to settings with these variables, which are refused."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        load_settings(BridgeSettings)
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("C2C.CallbackBeforSendMsg", "is C2C.CallbackBeforeSendMsg meant?"),
        ("C2C.CallbackBeforeSendMessage", "is C2C.CallbackBeforeSendMsg meant?"),
        ("c2c.callbackbeforsendmsg", "is C2C.CallbackBeforeSendMsg meant?"),
        ("C2C_CallbackBeforeSendMsg", "is C2C.CallbackBeforeSendMsg meant?"),
        ("C2C.CallbackBeforeSendMsg ", "is C2C.CallbackBeforeSendMsg meant?"),
        ("Grup.CallbackBeforeCreateGroup", "is Group.CallbackBeforeCreateGroup meant?"),
        ("Sns.CallbackPreFriendAdd", "is Sns.CallbackPrevFriendAdd meant?"),
        ("Grup.CallbackBefore*", "is Group.CallbackBefore"),
        ("C2C.CallbackBefroe*", "is C2C.CallbackBeforeSendMsg meant?"),
        ("Group.CallbackBefore[X]*", "is Group.CallbackBefore"),
        ("Nonsense", " C2C.CallbackBeforeSendMsg, "),
        ("", " C2C.CallbackBeforeSendMsg, "),
        ("C2C.CallbackAfterSendMsg", "is no callback to decide: the platform waits for no decision on it"),
        ("Chatbot.OnC2CSignalMesage", "is no callback to decide that this version knows: is Chatbot.OnC2CSignal"),
        ("C2C.CallbackAfter*", "is no callback to decide: the platform waits for no decision on it"),
    ],
)
def test_an_endpoint_that_would_never_be_asked_is_refused_and_what_is_meant_is_named(
    pattern: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = refused(capsys, monkeypatch, BRIDGE_DECISION_URLS=by(pattern))
    assert f"BRIDGE_DECISION_URLS: {pattern} is no callback to decide" in shown
    assert told in shown


@pytest.mark.parametrize(
    ("patterns", "never", "other"),
    [
        (("*", "Group.CallbackBefore*"), "Group.CallbackBefore*", "*"),
        (("Group.*", "Group.CallbackBefore*"), "Group.CallbackBefore*", "Group.*"),
        (
            ("C2C.CallbackBeforeSendMsg", "c2c.callbackbeforesendmsg"),
            "c2c.callbackbeforesendmsg",
            "C2C.CallbackBeforeSendMsg",
        ),
        (("C2C.*", "C2C.CallbackBeforeSendMsg"), "C2C.*", "C2C.CallbackBeforeSendMsg"),
    ],
)
def test_an_endpoint_whose_callbacks_others_decide_is_told(
    patterns: tuple[str, ...],
    never: str,
    other: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BRIDGE_DECISION_URLS", by(*patterns))
    load_settings(BridgeSettings)
    told = f"warning: BRIDGE_DECISION_URLS: {never} has no effect: {other} decides what it matches."
    assert capsys.readouterr().err.startswith(told)


@pytest.mark.parametrize(
    "patterns",
    [
        ("C2C.CallbackBeforeSendMsg",),
        ("c2c.callbackbeforesendmsg",),
        ("Chatbot.OnC2CSignalMessage",),
        ("chatbot.*", "*.CallbackBefore*"),
        ("*",),
        ("*.CallbackBefore*", "C2C.CallbackBeforeSendMsg"),
        ("Group.CallbackBefore*", "*"),
        ("Group.CallbackBeforeSend???", "Group.CallbackBefore*", "[CS]*"),
    ],
)
def test_names_and_patterns_that_decide_something_are_accepted(
    patterns: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_DECISION_URLS", by(*patterns))
    assert list(load_settings(BridgeSettings).decision_urls) == list(patterns)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "no http:// or https:// URL"),
        ("moderation:8000/s3cret", "no http:// or https:// URL"),
        ("//moderation/s3cret", "no http:// or https:// URL"),
        ("ftp://moderation/s3cret", "no http:// or https:// URL"),
        ("http:///s3cret", "no http:// or https:// URL"),
        ("http://:8000/s3cret", "no http:// or https:// URL"),
        ("http://a..b/s3cret", "no http:// or https:// URL with a host that there can be"),
        ("http://moderation:port/s3cret", "its host or port cannot be read"),
        ("http://moderation:99999/s3cret", "its host or port cannot be read"),
        ("http://[::1/s3cret", "its host or port cannot be read"),
        ("http://moderation:0/s3cret", "no http:// or https:// URL"),
        ("http://mode ration/s3cret", "spaces, control characters"),
        (" http://moderation/s3cret", "spaces, control characters"),
        ("http://moderation/s3cret\n", "spaces, control characters"),
        ("http://moderation/s3cret#x", "write %23"),
    ],
)
def test_a_url_that_cannot_be_asked_is_refused_and_not_shown(
    url: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = refused(capsys, monkeypatch, BRIDGE_DECISION_URLS=by("C2C.CallbackBeforeSendMsg", url=url))
    assert "BRIDGE_DECISION_URLS: what stands for C2C.CallbackBeforeSendMsg" in shown
    assert told in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("APPS", '{"1400000000":["new"],"1400000000":["s3cret"]}', "BRIDGE_APPS names 1400000000 2 times"),
        ("DECISION_URLS", '{"*":"http://a/s3cret","*":"http://b/"}', "BRIDGE_DECISION_URLS names * 2 times"),
        ("APPS", '{"1400000000":[" "]}', "empty token"),
        ("APPS", '{"1400000000":["s3cret\\n"]}', "no signature would fit"),
        ("APPS", '{"1400000000":[" s3cret"]}', "no signature would fit"),
        ("APPS", '{"1400000000":["s3c\\u200bret"]}', "no signature would fit"),
        ("APPS", '{"1400000000":"s3cret"}', '{"1400000000":["token-a"]}'),
        ("APPS", '{"\\uff11\\uff14":["s3cret"]}', "is no SdkAppid"),
        ("TOPIC", "im events", "no name that Kafka takes"),
        ("TOPIC", "im/events", "no name that Kafka takes"),
        ("TOPIC", "..", "no name that Kafka takes"),
        ("DLQ_TOPIC", "a" * 250, "no name that Kafka takes"),
        ("DLQ_TOPIC", "im.events", "need a topic of their own"),
        ("TOPIC_RETENTION_HOURS", "0", "-1 for ever"),
        ("DLQ_RETENTION_HOURS", "0", "-1 for ever"),
        ("SCHEMA_BASE", "https://example.org/schemas", "no beginning of a URI"),
        ("SCHEMA_BASE", "example.org/schemas/", "no beginning of a URI"),
        ("SCHEMA_BASE", "https://example.org/my schemas/", "no beginning of a URI"),
        ("DROP_FIELDS", '["MsgBody"]', "no name of a field"),
        ("DROP_FIELDS", "MsgBody CloudCustomData", "no name of a field"),
        ("DROP_FIELDS", "MsgBody;CloudCustomData", "no name of a field"),
        ("DROP_FIELDS", "MsgBody.MsgContent", "no name of a field"),
        ("ALLOWED_NETWORKS", '["203.0.113.7/24"]', "write 203.0.113.0/24"),
        ("ALLOWED_NETWORKS", "203.0.113.0/24", "BRIDGE_ALLOWED_NETWORKS: it is neither `auto` nor a JSON list"),
        ("ALLOWED_NETWORKS", "automatic", '["auto","203.0.113.0/24"]'),
        ("ALLOWED_NETWORKS", '["auto","203.0.113.7/24"]', "write 203.0.113.0/24"),
        ("ALLOWED_NETWORKS", '{"auto":true}', "valid list"),
        ("ALLOWED_NETWORKS", "auto", "BRIDGE_IM_APPS is not set"),
        ("ALLOWED_NETWORKS", '["203.0.113.0/24","auto"]', "BRIDGE_IM_APPS is not set"),
        ("ALLOWED_NETWORKS_REGION", "singapore", "BRIDGE_ALLOWED_NETWORKS_REGION"),
        ("ALLOWED_NETWORKS_INTERVAL_S", "0", "BRIDGE_ALLOWED_NETWORKS_INTERVAL_S"),
        ("ALLOWED_NETWORKS_KEEP_S", "1e9", "more than a week"),
        ("IM_APPS", '{"1400000000":{"secret_key":"s3cret","region":"china"}}', "1400000000.region: Extra inputs"),
        ("IM_APPS", '{"1400000000":{"identifier":"s3cret"}}', "1400000000.secret_key: Field required"),
        ("IM_APPS", '{"app":{"secret_key":"s3cret"}}', "is no SdkAppid"),
        ("IM_APPS", '{"1400000000":{"secret_key":""}}', "empty secret_key"),
        ("IM_APPS", '{"1400000000":{"secret_key":"s3cret","host":"ftp://x"}}', "must begin with http://"),
        ("IM_APPS", "s3cret", "it is no JSON"),
        ("TRUSTED_PROXIES", '["front"]', "is no network"),
        ("TRUSTED_PROXIES", '["auto"]', "is no network"),
        ("STALE_MAX_AGE_HOURS", "1000", "BRIDGE_STALE_MAX_AGE_HOURS"),
        ("CLOCK_SKEW_S", "1700000000", "more than a week"),
        ("KEEPALIVE_S", "inf", "more than a week"),
        ("STOP_TIMEOUT_S", "nan", "BRIDGE_STOP_TIMEOUT_S"),
        ("HEAD_TIMEOUT_S", "-1", "BRIDGE_HEAD_TIMEOUT_S"),
    ],
)
def test_what_means_nothing_is_refused(
    variable: str, value: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = refused(capsys, monkeypatch, **{f"BRIDGE_{variable}": value})
    assert told in shown
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"DROP_FIELDS": "MsgBdy, CloudCustomData"}, "BRIDGE_DROP_FIELDS: MsgBdy is a field of no documented callback"),
        ({"DROP_FIELDS": "msg_body"}, "is MsgBody meant?"),
        ({"DROP_FIELDS": "Text"}, "it is dropped where it comes nevertheless"),
        (
            {"KAFKA_SASL_USERNAME": "me"},
            "BRIDGE_KAFKA_SASL_USERNAME has no effect while BRIDGE_KAFKA_SECURITY_PROTOCOL",
        ),
        ({"KAFKA_SSL_CAFILE": "ca.pem"}, "BRIDGE_KAFKA_SSL_CAFILE has no effect while BRIDGE_KAFKA_SECURITY_PROTOCOL"),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_SSL_KEYFILE": "ca.pem"},
            "BRIDGE_KAFKA_SSL_KEYFILE has no effect without BRIDGE_KAFKA_SSL_CERTFILE",
        ),
        (
            {"APPS": '{"1400000000":["a","b","c","d","e"],"1400000001":["a","b","c","d"]}'},
            "BRIDGE_APPS: app 1400000000 has 5 tokens, and each of them lets in whoever knows it",
        ),
        (
            {"APPS": '{"1400000000":["a","b","a"]}'},
            "BRIDGE_APPS: app 1400000000 has the same token more than once",
        ),
        (
            {"ALLOWED_NETWORKS": '["192.0.2.0/24","0.0.0.0/0"]'},
            "BRIDGE_ALLOWED_NETWORKS has 0.0.0.0/0, so every IPv4 address may post",
        ),
        ({"IM_APPS": IM_APPS}, "BRIDGE_IM_APPS has no effect while BRIDGE_ALLOWED_NETWORKS is not auto"),
        (
            {"ALLOWED_NETWORKS_INTERVAL_S": "60"},
            "BRIDGE_ALLOWED_NETWORKS_INTERVAL_S has no effect while BRIDGE_ALLOWED_NETWORKS is not auto",
        ),
        (
            {"ALLOWED_NETWORKS": "auto", "IM_APPS": IM_APPS.replace("1400000000", "1400000009")},
            "BRIDGE_IM_APPS: app 1400000009 is none of BRIDGE_APPS",
        ),
        ({"SYNC_AFTER_MS": "498"}, "while Kafka is away the disk comes too late"),
        ({"DECISION_URL": by("*")}, "is BRIDGE_DECISION_URLS meant?"),
        ({"KAFKA_SERVERS": "kafka:9092"}, "is BRIDGE_KAFKA_BOOTSTRAP_SERVERS meant?"),
        ({"ALLOW_NETWORKS": "[]"}, "is BRIDGE_ALLOWED_NETWORKS meant?"),
        ({"APP_FILE": "/apps"}, "is BRIDGE_APPS_FILE meant?"),
    ],
)
def test_what_may_not_do_what_is_meant_is_told(
    variables: dict[str, str], told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("ca.pem").touch()
    for name, value in variables.items():
        monkeypatch.setenv(f"BRIDGE_{name}", value)
    load_settings(BridgeSettings)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: ")
    assert told in line


def test_what_kubernetes_adds_and_what_is_documented_is_not_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SERVICE_HOST", "SERVICE_PORT", "ADMIN_SERVICE_PORT", "PORT_8080_TCP_PORT", "ADMIN_PORT_9090_TCP"):
        monkeypatch.setenv(f"BRIDGE_{name}", "10.0.0.1")
    monkeypatch.setenv("BRIDGE_DROP_FIELDS", "msgbody, CloudCustomData,,EventTime")
    monkeypatch.setenv("BRIDGE_SCHEMA_BASE", "https://example.org/schemas/")
    load_settings(BridgeSettings)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("written", "static"),
    [
        ("auto", []),
        (" AUTO ", []),
        ('"auto"', []),
        ('["auto"]', []),
        ('["Auto","203.0.113.0/24"]', ["203.0.113.0/24"]),
        ('["203.0.113.7","auto","2001:db8::/32"]', ["203.0.113.7/32", "2001:db8::/32"]),
    ],
)
def test_the_platforms_networks_are_asked_for_by_a_word_alone_or_among_networks(
    written: str, static: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRIDGE_ALLOWED_NETWORKS", written)
    monkeypatch.setenv("BRIDGE_IM_APPS", IM_APPS)
    settings = load_settings(BridgeSettings)
    assert settings.asks_for_networks
    assert list(map(str, settings.static_networks)) == static
    assert "s3cret" not in repr(settings)
    assert capsys.readouterr().err == ""


def test_settings_that_a_compose_file_passes_on_empty_count_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ALLOWED_NETWORKS", "ALLOWED_NETWORKS_REGION", "IM_APPS"):
        monkeypatch.setenv(f"BRIDGE_{name}", "")
    settings = load_settings(BridgeSettings)
    assert (settings.allowed_networks, settings.allowed_networks_region, settings.im_apps) == ([], "any", {})


def test_a_file_of_tokens_that_grows_while_we_run_is_told_as_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "apps"
    file.write_text(APPS)
    monkeypatch.delenv("BRIDGE_APPS")
    monkeypatch.setenv("BRIDGE_APPS_FILE", str(file))
    settings = load_settings(BridgeSettings)
    file.write_text('{"1400000000":["a","b","c","d"]}')
    assert len(settings.latest().apps["1400000000"]) == 4
    assert "has 4 tokens" not in caplog.text
    file.write_text('{"1400000000":["a","b","c","d","e"]}')
    assert len(settings.latest().apps["1400000000"]) == 5
    assert "BRIDGE_APPS: app 1400000000 has 5 tokens" in caplog.text


def test_the_word_and_the_credentials_may_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "networks").write_text("auto\n")
    (tmp_path / "im-apps").write_text(IM_APPS)
    monkeypatch.setenv("BRIDGE_ALLOWED_NETWORKS_FILE", str(tmp_path / "networks"))
    monkeypatch.setenv("BRIDGE_IM_APPS_FILE", str(tmp_path / "im-apps"))
    settings = load_settings(BridgeSettings)
    assert settings.asks_for_networks
    assert settings.im_apps["1400000000"].url == "https://adminapisgp.im.qcloud.com"
    (tmp_path / "im-apps").write_text("{}")
    assert settings.latest().im_apps == settings.im_apps, "none would be a mistake"
