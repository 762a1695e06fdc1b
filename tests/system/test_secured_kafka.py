"""Kafka over TLS with SASL, as managed clusters demand it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from tests.conftest import MakeIngress
from tests.support.broker import Broker
from tests.support.callbacks import recalled
from tests.support.ports import free_port
from tests.support.topic import ANSWERS_WITHIN_S, Topics, wait_for_events

OK = {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0}
PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required"


@dataclass(frozen=True)
class Secured:
    """A broker with a SASL_SSL listener."""

    broker: Broker
    address: str
    authority: Path


def start(folder: Path, *, expires: datetime) -> Secured:
    folder.mkdir()
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost", not_after=expires)
    (folder / "ca.pem").write_bytes(authority.cert_pem.bytes())
    port = free_port()
    listener = "listener.name.sasl_ssl"
    broker = Broker(
        folder / "broker",
        extra_listeners={"SASL_SSL": port},
        extra_properties={
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            f"{listener}.plain.sasl.jaas.config": f'{PLAIN} user_bridge="s3cret";',
            f"{listener}.scram-sha-256.sasl.jaas.config": f"{SCRAM};",
            f"{listener}.scram-sha-512.sasl.jaas.config": f"{SCRAM};",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.key": _inline(_pkcs8(certificate.private_key_pem.bytes())),
            "ssl.keystore.certificate.chain": _inline(b"".join(pem.bytes() for pem in certificate.cert_chain_pems)),
        },
    ).start()
    return Secured(broker, f"127.0.0.1:{port}", folder / "ca.pem")


def _pkcs8(key: bytes) -> bytes:
    """The only form of a private key that Kafka reads."""
    private_key = load_pem_private_key(key, None)
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _inline(pem: bytes) -> str:
    return pem.decode().strip().replace("\n", "\\n")


@pytest.fixture(scope="module")
def secured(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    del broker  # Asked for so that these tests are known to need a real Kafka.
    made = start(tmp_path_factory.mktemp("secured") / "x", expires=datetime.now(UTC) + timedelta(days=1))
    admin = AdminClient({"bootstrap.servers": made.broker.bootstrap})
    for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
        change = UserScramCredentialUpsertion("bridge", ScramCredentialInfo(mechanism, 4096), b"s3cret")
        for future in admin.alter_user_scram_credentials([change]).values():
            future.result(ANSWERS_WITHIN_S)
    yield made
    made.broker.close()


def settings(secured: Secured, mechanism: str = "PLAIN", password: str = "s3cret") -> dict[str, Any]:
    return {
        "BRIDGE_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "BRIDGE_KAFKA_SASL_MECHANISM": mechanism,
        "BRIDGE_KAFKA_SASL_USERNAME": "bridge",
        "BRIDGE_KAFKA_SASL_PASSWORD": password,
        "BRIDGE_KAFKA_SSL_CAFILE": str(secured.authority),
    }


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_events_reach_a_secured_broker(mechanism: str, ingress: MakeIngress, secured: Secured, topics: Topics) -> None:
    topics.create(secured.broker.bootstrap)
    bridge = ingress(secured.address, **settings(secured, mechanism))
    assert bridge.post(recalled("u", unread=1)).json == OK
    assert wait_for_events(secured.broker.bootstrap, topics.events, len)


def test_a_wrong_password_gives_one_clear_line_and_callbacks_are_still_accepted(
    ingress: MakeIngress, secured: Secured
) -> None:
    bridge = ingress(secured.address, **settings(secured, password="wr0ng"))
    assert bridge.post(recalled("u", unread=1)).json == OK
    bridge.wait_for_log("refuses user name and password")
    bridge.wait_for_log("KAFKA_SASL_PASSWORD")
    assert "wr0ng" not in bridge.output()
    assert "Traceback" not in bridge.output()


def test_an_authority_that_is_not_trusted_gives_one_clear_line(
    ingress: MakeIngress, secured: Secured, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(trustme.CA().cert_pem.bytes())
    bridge = ingress(secured.address, **{**settings(secured), "BRIDGE_KAFKA_SSL_CAFILE": str(other)})
    bridge.wait_for_log("certificate is not accepted: see …KAFKA_SSL_CAFILE")
    assert "Traceback" not in bridge.output()


def test_an_expired_certificate_gives_one_clear_line(broker: Broker, ingress: MakeIngress, tmp_path: Path) -> None:
    del broker
    secured = start(tmp_path / "expired", expires=datetime.now(UTC) - timedelta(days=1))
    bridge = ingress(secured.address, **settings(secured))
    bridge.wait_for_log("certificate is not accepted.*expired")
    assert "Traceback" not in bridge.output()
    secured.broker.close()


def test_a_missing_file_of_authorities_is_named(ingress: MakeIngress, secured: Secured, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    bridge = ingress(secured.address, ready=False, **{**settings(secured), "BRIDGE_KAFKA_SSL_CAFILE": missing})
    assert bridge.wait(10) == 2
    assert "BRIDGE_KAFKA_SSL_CAFILE" in bridge.output()
    assert "Traceback" not in bridge.output()
