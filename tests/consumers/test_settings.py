"""Settings of the workers that take more than one value, and are explained when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.rest.app import SITES, ImApp
from common.settings import load_settings
from consumers.settings import ConsumersSettings
from tests.support.certificates import CertificateFolder


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
    assert len(SITES) == len(set(SITES.values())) == 8


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


def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str) -> str:
    """What is printed for a wrong value; it begins with the name of the setting."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        load_settings(ConsumersSettings)
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert shown.startswith("error: ")
    assert name in shown
    return shown


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis:6379", "must begin with redis://"),
        ("redis//localhost:6379", "must begin with redis://"),
        ("localhost:6379", "must begin with redis://"),
        ("http://localhost:6379", "must begin with redis://"),
        ("redis+sentinel://localhost", "names no service"),
        ("redis+sentinel://localhost/mymaster/one", "'one' at the end of the address is no number"),
        ("redis-sentinel://localhost/mymaster", "must begin with redis://"),
        ("redis+cluster://a,b/1", "a cluster has the database 0 only"),
        ("redis://a?cluster=maybe", "the option cluster is neither true nor false"),
        ("redis://a?sentinel_password=hidden", "redis+sentinel://"),
        ("redis://", "has no host"),
        ("redis:///0", "has no host"),
        ("redis://:hidden@/0", "has no host"),
        ("redis://a:6379,b:port/0", "no number"),
        ("redis://a,b/3", "a cluster has the database 0 only"),
        ("redis://localhost:0/0", "port of the address is 0"),
        ("redis://localhost:65536/0", "no number up to 65535"),
        ("redis://:hi/dden@localhost/0", "%2F"),
        ("redis://:hi#dden@localhost/0", "%23"),
        ("redis://localhost/zero", "'zero' at the end of the address is no number"),
        ("redis://localhost/0/1", "no number"),
        ("redis://localhost/-1", "no number"),
        ("redis://localhost/?db=-1", "negative"),
        ("redis://localhost/?db=one", "'db'"),
        ("redis://localhost/0?retries=3", "unknown option 'retries'"),
        ("redis://localhost/0?decode_responses=true", "unknown option 'decode_responses'"),
        ("redis://localhost/0?ssl_certfile=/x", "do not fit"),
        ("redis://localhost/0?protocol=7", "do not fit"),
        ("redis://local host/0", "spaces"),
        ("redis://${REDIS_HOST}:6379/0", "no name of a host"),
        ("redis://'localhost'", "no name of a host"),
        ("redis://localhost/3?db=1", "says db twice"),
        ("redis://localhost?db=1&db=2", "says db twice"),
        ("redis://localhost?max_connections=-1", "do not fit"),
        ("redis://localhost?socket_timeout=0", "no time limit"),
        ("rediss://localhost?ssl_ca_certs=/no/ca.pem", "ssl_ca_certs names /no/ca.pem, which is no file"),
        (f"rediss://localhost?ssl_ca_certs={__file__}", "ssl_ca_certs of the address name cannot be used"),
        (f"rediss://localhost?ssl_keyfile={__file__}", "ssl_keyfile of the address name cannot be used"),
        ("redis://[::1/0", "cannot be read"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix://", "three slashes"),
    ],
)
def test_an_address_of_redis_that_would_mean_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, problem: str
) -> None:
    shown = refused(monkeypatch, capsys, "CONSUMERS_REDIS_URL", url)
    assert problem in shown
    assert "hidden" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "redis://redis",
        "redis://redis:6379/15",
        "redis://a:6379,b:6380,c/0",
        "redis://a?cluster=true",
        "rediss+cluster://user:password@a,b:7000,[::1]:7001",
        "redis+sentinel://:password@a:26379,b/mymaster/2?sentinel_password=other",
        "redis://user:p%40ss%2F@redis.example.org:6379/0?socket_keepalive=true&health_check_interval=10",
        "rediss://redis:6380/0?ssl_cert_reqs=required",
        "redis://[::1]:6379/0",
        "redis://[fe80::1%eth0]/0",
        "redis://rédis_1.example.org./0",
        "unix:///run/redis.sock?db=2",
    ],
)
def test_an_address_of_redis_in_any_right_form_is_taken(url: str) -> None:
    assert ConsumersSettings.model_validate({"redis_url": url}).redis_url.get_secret_value() == url


def test_an_address_of_redis_may_name_certificates(tmp_path: Path) -> None:
    folder = CertificateFolder(tmp_path)
    own = folder.write("own")
    files = f"ssl_ca_certs={folder.trust_file()}&ssl_certfile={own.certificate}&ssl_keyfile={own.key}"
    test_an_address_of_redis_in_any_right_form_is_taken(f"rediss://redis:6380/0?{files}")


@pytest.mark.parametrize(
    "servers",
    [
        ",",
        "http://kafka:9092",
        "kafka://kafka:9092",
        "kafka:port",
        "kafka:0",
        "kafka:65536",
        "kafka 9092",
        "kafka/9092",
    ],
)
def test_addresses_of_kafka_that_are_none_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], servers: str
) -> None:
    assert "host:port" in refused(monkeypatch, capsys, "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS", servers)


def test_addresses_of_kafka_may_have_spaces_and_a_comma_at_the_end() -> None:
    settings = ConsumersSettings.model_validate({"kafka_bootstrap_servers": " kafka-1:9092, [::1]:9093 ,kafka-3,"})
    assert settings.kafka_bootstrap_servers == "kafka-1:9092,[::1]:9093,kafka-3"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONSUMERS_TOPIC", "im events"),
        ("CONSUMERS_TOPIC", "t" * 250),
        ("CONSUMERS_BADGES_TOPIC", "im/badges"),
        ("CONSUMERS_DLQ_TOPIC", ".."),
        ("CONSUMERS_DLQ_TOPIC", "im.events"),
        ("CONSUMERS_GROUP", "g" * 250),
        ("CONSUMERS_GROUP", "a\x1b[2Jb"),
        ("CONSUMERS_GROUP", "badges "),
        ("CONSUMERS_GROUP_INSTANCE_ID", "host name"),
        ("CONSUMERS_FORWARD_URL", "https:///path"),
        ("CONSUMERS_FORWARD_URL", "https://host/a#b"),
        ("CONSUMERS_FORWARD_URL", "https://host:port/"),
        ("CONSUMERS_FORWARD_URL", "https://host/with a space"),
        ("CONSUMERS_FORWARD_URL", "host:80"),
        ("CONSUMERS_IM_APPS", '{"1":{"secret_key":"k","host":"sin gapore"}}'),
        ("CONSUMERS_IM_APPS", '{"1":{"secret_key":"k","host":"im..example"}}'),
        ("CONSUMERS_IM_APPS", '{"1":{"secret_key":"k","host":"http://.:8000"}}'),
        ("CONSUMERS_FORWARD_URL", f"https://{'a' * 64}.example/"),
        ("CONSUMERS_IM_APPS", '{"1":{"secret_key":"k","identifier":" "}}'),
        ("CONSUMERS_HANDLE_TIMEOUT_S", "inf"),
        ("CONSUMERS_RECONCILE_LEASE_S", "1e300"),
    ],
)
def test_a_value_that_cannot_work_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    refused(monkeypatch, capsys, name, value)


@pytest.mark.parametrize(
    ("apps", "told"),
    [
        ('{"1":{"secretkey":"hidden"}}', "1.secret_key: Field required"),
        ('{"1":{"secret_key":"hidden","hosts":"china"}}', "1.hosts: Extra inputs are not permitted"),
        ('{"1":{"secret_key":"hidden"},"1":{"secret_key":"other"}}', "it names 1 2 times"),
        ('{"1":"hidden"}', "1: Input should be"),
        ('["hidden"]', "Input should be"),
    ],
)
def test_what_is_wrong_inside_of_credentials_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], apps: str, told: str
) -> None:
    monkeypatch.setenv("CONSUMERS_IM_APPS", apps)
    with pytest.raises(SystemExit):
        load_settings(ConsumersSettings)
    shown = capsys.readouterr().err
    assert f"CONSUMERS_IM_APPS: {told}" in shown
    assert "hidden" not in shown


def test_the_audit_has_a_topic_of_its_own() -> None:
    with pytest.raises(ValueError, match="CONSUMERS_AUDIT_TOPIC must be a topic of its own"):
        ConsumersSettings.model_validate({"audit_topic": "im.events"})
    audit = ConsumersSettings.model_validate({"topic_partitions": 7}).audit
    assert audit.partitions == 1
    assert audit.configs["cleanup.policy"] == "compact"
