"""Which settings reach the processes of `bridge dev`."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.devstack.inherited import inherited_settings


def test_all_that_is_given_is_passed_on_but_what_the_stack_needs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("BRIDGE_APPS", "BRIDGE_APPS_FILE"):
        monkeypatch.delenv(name, raising=False)
    Path(".env").write_text("BRIDGE_KEEP_RAW=true\nBRIDGE_GATHER_MS=5\nCONSUMERS_REDIS_URL=redis://away:1\nOTHER=1\n")
    given = {
        "BRIDGE_APPS": '{"1":["t"]}',
        "BRIDGE_GATHER_MS": "7",
        "bridge_workers": "2",
        "BRIDGE_PORT": "8081",
        "BRIDGE_DROP_FIELDS": "",
        "BRIDGE_DECISION_URLS_FILE": "urls",
        "BRIDGE_KAFKA_SASL_PASSWORD_FILE": "password",
        "BRIDGE_JOURNAL_DIR": "/j",
        "BRIDGE_TLS_CERTIFICATE": "certificate.pem",
        "BRIDGE_PROXY_PROTOCOL": "on",
        "BRIDGE_TRUSTED_PROXIES": '["10.0.0.0/8"]',
        "CONSUMERS_POISON_ATTEMPTS": "1",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    ingress, worker, overridden = inherited_settings()
    assert ingress == {
        "BRIDGE_KEEP_RAW": "true",
        "BRIDGE_GATHER_MS": "7",
        "BRIDGE_WORKERS": "2",
        "BRIDGE_TRUSTED_PROXIES": '["10.0.0.0/8"]',
        "BRIDGE_DECISION_URLS_FILE": str(tmp_path / "urls"),
    }
    assert worker == {"CONSUMERS_POISON_ATTEMPTS": "1"}
    assert overridden == [
        "BRIDGE_JOURNAL_DIR",
        "BRIDGE_KAFKA_SASL_PASSWORD_FILE",
        "BRIDGE_PROXY_PROTOCOL",
        "BRIDGE_TLS_CERTIFICATE",
        "CONSUMERS_REDIS_URL",
    ]
