"""Certificates and passwords that are replaced while a process runs."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
import uvloop
from aiokafka.conn import AIOKafkaConnection
from cryptography.hazmat.primitives import serialization

from common.kafka.connection import MendedConnection
from common.renewed import RenewedContext, RenewedPassword
from common.settings import Settings

MakeLoop = Callable[[], asyncio.AbstractEventLoop]


class Certificates:
    """A client's certificate and key in files, as an operator or an agent replaces them."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.cafile, self.certfile, self.keyfile = folder / "ca.pem", folder / "client.pem", folder / "client.key"
        self.authority.cert_pem.write_to_path(self.cafile)
        self.renew("first.example.org")

    def renew(self, name: str, authority: trustme.CA | None = None) -> None:
        made = (authority or self.authority).issue_cert(name)
        self.certfile.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(self.keyfile)

    @property
    def settings(self) -> Settings:
        return Settings.model_validate(
            {
                "kafka_security_protocol": "SSL",
                "kafka_ssl_cafile": self.cafile,
                "kafka_ssl_certfile": self.certfile,
                "kafka_ssl_keyfile": self.keyfile,
            }
        )


class TlsServer:
    """Tells each client the name in its certificate. `authorities` signed the clients' certificates."""

    def __init__(self, issuer: trustme.CA, *authorities: trustme.CA) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        issuer.issue_cert("127.0.0.1").configure_cert(self._context)
        for authority in authorities:
            authority.configure_trust(self._context)
        self._context.verify_mode = ssl.CERT_REQUIRED

    async def name_shown_by(self, *contexts: ssl.SSLContext, before: Callable[[int], None]) -> list[str]:
        """What each connection with one of these contexts shows; `before` is called with the number of each."""
        server = await asyncio.start_server(self._tell, "127.0.0.1", 0, ssl=self._context)
        port = server.sockets[0].getsockname()[1]
        shown = []
        async with server:
            for number, context in enumerate(contexts):
                before(number)
                reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
                shown.append((await reader.readline()).decode().strip())
                writer.close()
        return shown

    async def _tell(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        certificate = writer.get_extra_info("peercert")
        writer.write(f"{certificate['subjectAltName'][0][1]}\n".encode())
        await writer.drain()
        writer.close()


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_client_that_exists_shows_the_renewed_certificate_from_its_next_connection_on(
    tmp_path: Path, make_loop: MakeLoop
) -> None:
    files = Certificates(tmp_path)
    context = files.settings.kafka_client()["ssl_context"]
    server = TlsServer(files.authority, files.authority)

    def before(number: int) -> None:
        if number == 1:
            files.renew("second.example.org")

    with asyncio.Runner(loop_factory=make_loop) as runner:
        shown = runner.run(server.name_shown_by(context, context, context, before=before))
    assert shown == ["first.example.org", "second.example.org", "second.example.org"]


async def test_an_authority_that_was_replaced_is_trusted_and_the_former_is_not(tmp_path: Path) -> None:
    files = Certificates(tmp_path)
    context = files.settings.kafka_client()["ssl_context"]
    other = trustme.CA()
    other.cert_pem.write_to_path(files.cafile)
    moved = TlsServer(other, files.authority)
    assert await moved.name_shown_by(context, before=lambda _: None) == ["first.example.org"]
    with pytest.raises(ssl.SSLCertVerificationError):
        await TlsServer(files.authority, files.authority).name_shown_by(context, before=lambda _: None)


async def test_a_certificate_that_is_only_half_replaced_leaves_the_former_in_use_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = Certificates(tmp_path)
    context = files.settings.kafka_client()["ssl_context"]
    server = TlsServer(files.authority, files.authority)
    old_key = files.keyfile.read_bytes()
    files.renew("second.example.org")
    new_key = files.keyfile.read_bytes()
    files.keyfile.write_bytes(old_key)

    def before(number: int) -> None:
        if number == 2:
            files.keyfile.write_bytes(new_key)

    shown = await server.name_shown_by(context, context, context, before=before)
    assert shown == ["first.example.org", "first.example.org", "second.example.org"]
    assert caplog.text.count("the former stays in use") == 1


def test_a_certificate_that_cannot_be_used_at_the_start_is_an_error_that_names_its_setting(tmp_path: Path) -> None:
    files = Certificates(tmp_path)
    settings = files.settings
    encrypted = serialization.load_pem_private_key(files.keyfile.read_bytes(), None).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    files.keyfile.write_bytes(encrypted)
    with pytest.raises(OSError, match=r"KAFKA_SSL_CERTFILE \(.*\) with KAFKA_SSL_KEYFILE \(.*\) cannot be used: no "):
        settings.kafka_client()
    files.cafile.write_text("no certificate")
    with pytest.raises(OSError, match=r"KAFKA_SSL_CAFILE \(.*\) cannot be used: no certificate in PEM form"):
        settings.kafka_client()
    files.cafile.unlink()
    with pytest.raises(OSError, match=r"KAFKA_SSL_CAFILE \(.*\) cannot be used: No such file or directory"):
        settings.kafka_client()


async def test_each_connection_of_a_client_is_made_with_the_password_of_then() -> None:
    passwords = ["first", "second", "third"]
    password = RenewedPassword(lambda: passwords[0])
    assert password == "first"
    passwords.pop(0)
    connection: AIOKafkaConnection = MendedConnection("127.0.0.1", 1, sasl_plain_password=password)
    assert connection._sasl_plain_password == "second"
    plain: AIOKafkaConnection = MendedConnection("127.0.0.1", 1, sasl_plain_password="as given")
    assert plain._sasl_plain_password == "as given"


def test_the_context_is_one_for_clients(tmp_path: Path) -> None:
    context = RenewedContext(ssl.create_default_context, [])
    assert isinstance(context, ssl.SSLContext)


@pytest.fixture
def password_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "password"
    file.write_text("first\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", str(file))
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "me")
    monkeypatch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
    return file


def test_a_password_is_read_anew_when_its_file_changes(password_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    settings = Settings.model_validate({})
    password = settings.kafka_client()["sasl_plain_password"]
    assert (password, settings.latest()) == ("first", settings)
    password_file.write_text("the second\n")
    assert password.read() == "the second"
    assert settings.kafka_client()["sasl_plain_password"] == "the second"
    assert caplog.messages == ["KAFKA_SASL_PASSWORD_FILE has changed and was read anew"]
    assert settings.kafka_sasl_password is not None
    assert settings.kafka_sasl_password.get_secret_value() == "first"


@pytest.mark.parametrize("wrong", [b"", b"\xff\xfe", None])
def test_what_a_file_held_before_stays_where_it_holds_what_is_wrong(
    password_file: Path, caplog: pytest.LogCaptureFixture, wrong: bytes | None
) -> None:
    settings = Settings.model_validate({})
    password_file.unlink()
    if wrong is not None:
        password_file.write_bytes(wrong)
    for _ in range(3):
        assert settings.latest() is settings
    assert len(caplog.messages) == 1
    assert "KAFKA_SASL_PASSWORD_FILE" in caplog.text
    password_file.write_text("the second one")
    latest = settings.latest().kafka_sasl_password
    assert latest is not None
    assert latest.get_secret_value() == "the second one"


def test_only_what_comes_from_a_file_changes(password_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.model_validate({"topic_partitions": 7})
    monkeypatch.setenv("KAFKA_SASL_USERNAME", "another")
    password_file.write_text("the second")
    latest = settings.latest()
    assert (latest.kafka_sasl_username, latest.topic_partitions) == ("me", 7)
