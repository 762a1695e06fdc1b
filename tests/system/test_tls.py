"""TLS and the PROXY protocol of a whole ingress: its start, its clients, its certificates while it runs."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.conftest import MakeIngress
from tests.support.callbacks import APP_ID, TOKEN, recalled
from tests.support.certificates import CertificateFolder
from tests.support.commands import IngressProcess, run_bridge
from tests.support.http import request, wire
from tests.support.ports import free_port

NOWHERE = "127.0.0.1:1"
"""Kafka is away: callbacks become durable on disk."""
EXPIRY = "bridge_tls_certificate_expiry_timestamp_seconds"


@pytest.fixture
def folder(tmp_path: Path) -> CertificateFolder:
    (tmp_path / "tls").mkdir()
    return CertificateFolder(tmp_path / "tls")


def settings_of(folder: CertificateFolder) -> Any:
    return folder.settings("a")


def connect(bridge: IngressProcess, context: ssl.SSLContext, host: str, before: bytes = b"") -> ssl.SSLSocket:
    """A connection with TLS, which begins with `before`. Raises ssl.SSLError."""
    plain = bridge.connection()
    plain.sendall(before)
    return context.wrap_socket(plain, server_hostname=host)


def post(connection: socket.socket) -> int:
    """Post a callback; the status of the reply."""
    connection.sendall(wire(recalled("ann")))
    reply = HTTPResponse(connection)
    reply.begin()
    reply.read()
    return reply.status


def names_of(connection: ssl.SSLSocket) -> set[str]:
    certificate = connection.getpeercert()
    assert certificate
    return {str(pair[1]) for pair in certificate["subjectAltName"]}


def shown(bridge: IngressProcess, folder: CertificateFolder) -> set[str]:
    """The names in the certificate that a new connection gets."""
    context = folder.client()
    context.check_hostname = False
    with connect(bridge, context, "x.test") as connection:
        return names_of(connection)


def test_callbacks_come_over_tls_also_from_openssl_and_by_the_name_that_is_asked_for(
    ingress: MakeIngress, folder: CertificateFolder
) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=20)
    default = folder.write("a", "localhost", not_after=end)
    other = folder.write("b", "im.test")
    sni = {"im.test": {"certificate": str(other.certificate), "key": str(other.key)}}
    bridge = ingress(NOWHERE, **settings_of(folder), BRIDGE_TLS_SNI=orjson.dumps(sni).decode())

    with connect(bridge, folder.client(), "localhost") as connection:
        assert connection.version() == "TLSv1.3"
        assert [post(connection) for _ in range(3)] == [200, 200, 200]
    with connect(bridge, folder.client(), "im.test") as connection:
        assert (post(connection), names_of(connection)) == (200, {"im.test"})

    command = [
        "openssl",
        "s_client",
        "-quiet",
        "-ign_eof",
        "-verify_return_error",
        "-tls1_2",
        "-servername",
        "localhost",
    ]
    command += ["-CAfile", str(folder.trust_file()), "-connect", f"127.0.0.1:{bridge.port}"]
    asked = subprocess.run(
        command, input=wire(recalled("ann"), None, "Connection: close"), capture_output=True, timeout=60, check=False
    )
    assert asked.stdout.startswith(b"HTTP/1.1 200 "), asked.stderr
    bridge.wait_for(
        lambda: bridge.metric(EXPIRY, file=str(default.certificate)) == end.timestamp(),
        what="the end of the certificate",
    )

    assert request("POST", bridge.url, b"{}").status == 400
    bridge.wait_for(lambda: "this port speaks TLS: call it by https://" in bridge.tail(), what="a line of the log")


def test_certificates_change_while_callbacks_come_and_a_bad_one_changes_nothing(
    ingress: MakeIngress, folder: CertificateFolder
) -> None:
    folder.write("a", "first.test")
    bridge = ingress(NOWHERE, **settings_of(folder))
    context = folder.client()
    context.check_hostname = False
    statuses: list[int] = []
    is_over = threading.Event()

    def post_on_new_connections() -> None:
        while not is_over.is_set():
            with connect(bridge, context, "x.test") as connection:
                statuses.extend(post(connection) for _ in range(3))

    with connect(bridge, context, "x.test") as kept:
        assert post(kept) == 200
        load = threading.Thread(target=post_on_new_connections)
        load.start()
        try:
            folder.write("a", "second.test")
            bridge.wait_for(lambda: shown(bridge, folder) == {"second.test"}, what="the second certificate")
            folder.put("a.key", b"rubbish")
            bridge.wait_for(lambda: bridge.metric("bridge_settings_refused") == 1, what="a refusal")
            assert "BRIDGE_TLS_KEY" in bridge.tail()
            assert shown(bridge, folder) == {"second.test"}
            os.kill(bridge.pid, signal.SIGHUP)
            bridge.wait_for(
                lambda: "holds no private key" in reload_problem(bridge), timeout=60, what="a refused reload"
            )
            folder.write("a", "third.test")
            bridge.wait_for(lambda: bridge.metric("bridge_settings_refused") == 0, what="no refusal")
            bridge.wait_for(lambda: shown(bridge, folder) == {"third.test"}, what="the third certificate")
            assert post(kept) == 200
        finally:
            is_over.set()
            load.join()
    assert statuses
    assert set(statuses) == {200}


def reload_problem(bridge: IngressProcess) -> str:
    return orjson.dumps(request("GET", f"{bridge.admin_url}/readyz").json["reload"]).decode()


def test_a_process_that_dies_while_a_file_is_bad_is_back_with_what_was_read_before(
    ingress: MakeIngress, folder: CertificateFolder
) -> None:
    folder.write("a", "first.test")
    bridge = ingress(NOWHERE, **settings_of(folder))
    folder.put("a.key", b"rubbish")

    killed = bridge.server_pid
    os.kill(killed, signal.SIGKILL)
    bridge.wait_for(lambda: bridge.children() not in ([], [killed]), what="another process")
    bridge.wait_ready()

    assert shown(bridge, folder) == {"first.test"}
    bridge.wait_for(lambda: bridge.metric("bridge_settings_refused") == 1, what="a refusal")


def test_a_front_tells_with_the_proxy_protocol_who_posts(ingress: MakeIngress, folder: CertificateFolder) -> None:
    folder.write("a", "localhost")
    bridge = ingress(
        NOWHERE,
        **settings_of(folder),
        BRIDGE_PROXY_PROTOCOL="on",
        BRIDGE_TRUSTED_PROXIES='["127.0.0.1/32"]',
        BRIDGE_ALLOWED_NETWORKS='["203.0.113.0/24"]',
    )

    for address, status in (("203.0.113.7", 200), ("198.51.100.7", 403)):
        header = f"PROXY TCP4 {address} 192.0.2.1 51234 443\r\n".encode()
        with connect(bridge, folder.client(), "localhost", header) as connection:
            assert post(connection) == status
    assert "198.51.100.7" in bridge.tail()
    with bridge.connection() as connection:
        assert post(connection) == 400
    bridge.wait_for(lambda: "BRIDGE_PROXY_PROTOCOL=off" in bridge.tail(), what="a line of the log")


@pytest.mark.parametrize("command", [("serve",), ("serve", "--check")], ids=" ".join)
def test_it_does_not_start_with_a_certificate_that_cannot_be_used(
    command: tuple[str, ...], tmp_path: Path, folder: CertificateFolder
) -> None:
    folder.write("b")
    folder.write("a")
    folder.put("a.key", folder.files("b").key.read_bytes())
    apps = orjson.dumps({APP_ID: [TOKEN]}).decode()

    ended = run_bridge(
        *command,
        cwd=tmp_path,
        BRIDGE_APPS=apps,
        BRIDGE_PORT=str(free_port()),
        BRIDGE_ADMIN_PORT="0",
        **folder.settings("a"),
    )

    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("error: BRIDGE_TLS_KEY (")
    assert "does not fit BRIDGE_TLS_CERTIFICATE" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_doctor_looks_at_certificates(tmp_path: Path, folder: CertificateFolder) -> None:
    def told() -> str:
        apps = orjson.dumps({APP_ID: [TOKEN]}).decode()
        ended = run_bridge("doctor", "--json", cwd=tmp_path, BRIDGE_APPS=apps, **folder.settings("a"))
        (found,) = (one for one in orjson.loads(ended.stdout)["findings"] if one["subject"].startswith("certificate "))
        return f"{found['ok']}: {found['detail']}"

    folder.write("a", not_after=datetime.now(UTC) + timedelta(days=13))
    assert "False: of use until" in told()
    folder.put("a.key", b"rubbish")
    assert told().startswith("False: BRIDGE_TLS_KEY (")
