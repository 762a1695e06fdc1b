"""Settings of TLS and of the PROXY protocol."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from bridge.settings import InspectionSettings
from common.settings import load_settings
from tests.support.ingress_parts import settings


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"tls_certificate": "/a.pem"}, "BRIDGE_TLS_CERTIFICATE is set, and BRIDGE_TLS_KEY is not"),
        ({"tls_key": "/a.key"}, "BRIDGE_TLS_KEY is set, and BRIDGE_TLS_CERTIFICATE is not"),
        ({"tls_sni": {"a.test": {"certificate": "/a", "key": "/b"}}}, "BRIDGE_TLS_SNI is set, and"),
        ({"tls_sni": {"a.test": {"certificate": "/a"}}}, "needs two files"),
        ({"tls_sni": {"a.test": {"certificate": "/a", "chain": "/b"}}}, "'certificate' or 'key'"),
        ({"tls_sni": {"https://a.test": {"certificate": "/a", "key": "/b"}}}, "no name of a host"),
        ({"tls_sni": {"a.*.test": {"certificate": "/a", "key": "/b"}}}, "no name of a host"),
        ({"tls_sni": {"": {"certificate": "/a", "key": "/b"}}}, "no name of a host"),
        ({"tls_sni": {"bücher.test": {"certificate": "/a", "key": "/b"}}}, "in ASCII"),
        (
            {"tls_sni": {name: {"certificate": "/a", "key": "/b"} for name in ("a.test", "A.test")}},
            "stands there twice",
        ),
        ({"proxy_protocol": True}, "BRIDGE_TRUSTED_PROXIES is empty"),
    ],
    ids=[
        *("no key", "no certificate", "hosts alone", "host without key", "unknown file", "URL", "star inside"),
        *("empty host", "not ASCII", "host twice", "no front"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_says_what_is_missing(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as error:
        settings(**given)
    assert told in str(error.value)


def test_files_are_by_host_and_the_first_is_for_all_others() -> None:
    given = settings(
        tls_certificate="/a.pem",
        tls_key="/a.key",
        tls_sni={"IM.example.org": {"certificate": "/im.pem", "key": "/im.key"}},
    )

    found = given.certificate_files

    assert {host: (files.certificate, files.key) for host, files in found.items()} == {
        "": (Path("/a.pem"), Path("/a.key")),
        "im.example.org": (Path("/im.pem"), Path("/im.key")),
    }
    assert found["im.example.org"].key_setting == "the key of IM.example.org in BRIDGE_TLS_SNI"


def test_who_rescues_a_journal_needs_no_certificate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_TLS_CERTIFICATE", "/not/here.pem")
    monkeypatch.setenv("BRIDGE_TLS_KEY", "/not/here.key")
    monkeypatch.setenv("BRIDGE_TLS_SNI", json.dumps({"a.test": {"certificate": "/no", "key": "/no"}}))

    assert set(load_settings(InspectionSettings).certificate_files) == {"", "a.test"}


def test_the_protocol_is_switched_on_by_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_PROXY_PROTOCOL", "on")
    monkeypatch.setenv("BRIDGE_TRUSTED_PROXIES", '["10.0.0.0/8","0.0.0.0/0"]')

    given = load_settings(InspectionSettings)

    assert given.proxy_protocol
    assert [remark for remark in given.remarks() if "0.0.0.0/0" in remark]
