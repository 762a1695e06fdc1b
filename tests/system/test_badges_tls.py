"""The badges worker and a Redis over TLS: what is wrong with certificates is waited for, and named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.badge_model import produce
from tests.support.badges import BadgeTraffic, assert_badges_converge, said_of
from tests.support.broker import Broker
from tests.support.certificates import CertificateFolder
from tests.support.redis import RedisServer
from tests.support.tls_front import TlsFront
from tests.support.topic import Topics


@pytest.fixture
def certificates(tmp_path: Path) -> CertificateFolder:
    folder = tmp_path / "tls"
    folder.mkdir()
    return CertificateFolder(folder)


@pytest.fixture
def front(own_redis: RedisServer, certificates: CertificateFolder) -> Iterator[TlsFront]:
    with TlsFront(own_redis.port, certificates) as made:
        yield made


WAITING = "waiting, nothing is lost: Redis at rediss://.*"


def test_certificates_that_are_not_accepted_are_named_and_waited_for(
    broker: Broker, topics: Topics, worker: Any, front: TlsFront, certificates: CertificateFolder
) -> None:
    consumers = worker(broker, front.url)
    traffic = BadgeTraffic(topics.events)
    produce(broker.bootstrap, topics.events, traffic.make(100))
    assert_badges_converge(traffic, broker.bootstrap, front, topics, consumers)
    (certificates.folder / "foreign").mkdir()
    for certificate, told in [
        (certificates.write("expired", not_after=datetime.now(UTC) - timedelta(days=1)), "has expired. Renew it"),
        (certificates.write("misplaced", "redis.example.org"), "must name the host as the certificate does"),
        (CertificateFolder(certificates.folder / "foreign").write("right"), r"to have \?ssl_ca_certs="),
    ]:
        front.show(certificate)
        produce(broker.bootstrap, topics.events, traffic.make(50))
        consumers.wait_for_log(WAITING + told, timeout=30)
    front.show(certificates.files("right"))
    assert_badges_converge(traffic, broker.bootstrap, front, topics, consumers)
    assert consumers.metric("consumers_dead_letters_total") == 0


def test_no_event_is_given_up_while_a_file_of_the_address_of_redis_is_away_or_empty(
    broker: Broker, topics: Topics, worker: Any, front: TlsFront, certificates: CertificateFolder
) -> None:
    trusted = certificates.trust_file()
    consumers = worker(broker, front.url)
    traffic = BadgeTraffic(topics.events)
    produce(broker.bootstrap, topics.events, traffic.make(100))
    assert_badges_converge(traffic, broker.bootstrap, front, topics, consumers)
    trusted.unlink()
    front.show(certificates.write("expired", not_after=datetime.now(UTC) - timedelta(days=1)))
    produce(broker.bootstrap, topics.events, traffic.make(50))
    consumers.wait_for_log(WAITING + "ssl_ca_certs names .*, which is no file here", timeout=30)
    trusted.touch()
    consumers.wait_for_log(WAITING + "ssl_ca_certs of the address name cannot be used", timeout=30)
    certificates.trust_file()
    front.show(certificates.files("right"))
    assert_badges_converge(traffic, broker.bootstrap, front, topics, consumers)
    assert consumers.metric("consumers_dead_letters_total") == 0
    assert consumers.metric("consumers_retries_total", cause="waiting") > 0


async def test_a_port_without_tls_and_one_that_takes_nothing_else_are_told_apart(
    own_redis: RedisServer, front: TlsFront, certificates: CertificateFolder
) -> None:
    trusted = certificates.trust_file()
    plain = f"rediss://localhost:{own_redis.port}/0?ssl_ca_certs={trusted}"
    assert "does it take TLS at the port" in await said_of(plain, timeout_s=1)
    assert "begins with rediss://" in await said_of(f"redis://localhost:{front.port}/0")
