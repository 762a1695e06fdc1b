"""What is checked of a certificate before it is used, and what becomes of a new one."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from bridge.http import certificates
from bridge.http.certificates import CertificateError, ServerCertificates, read_pair
from bridge.http.der import latest_use
from tests.support.certificates import CertificateFolder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CertificateFolder:
    monkeypatch.setattr(certificates, "_read_before", {})
    return CertificateFolder(tmp_path)


def shown(found: ServerCertificates, folder: CertificateFolder, host: str) -> set[str]:
    """The names in the certificate that a client gets who asks for `host`. Raises ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = folder.client()
    context.check_hostname = False
    client = context.wrap_bio(to_client, to_server, server_hostname=host)
    server = found.context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    certificate = client.getpeercert()
    assert certificate
    names: Any = certificate["subjectAltName"]
    return {name for _, name in names}


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def encrypt(path: Path) -> None:
    key = load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))


def swap_chain(path: Path, folder: CertificateFolder) -> None:
    path.write_bytes(folder.authority.cert_pem.bytes() + path.read_bytes())


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder.folder / "a.pem").unlink(), ["BRIDGE_TLS_CERTIFICATE (", "a.pem", "No such file"]),
        (lambda folder: (folder.folder / "a.key").unlink(), ["BRIDGE_TLS_KEY (", "a.key", "No such file"]),
        (lambda folder: make_folder(folder.folder / "a.key"), ["BRIDGE_TLS_KEY (", "cannot be read: Is a directory"]),
        (lambda folder: folder.put("a.pem", b""), ["BRIDGE_TLS_CERTIFICATE (", "no certificate in PEM form"]),
        (lambda folder: folder.put("a.pem", b"\x30\x82\xff\xfe"), ["no certificate in PEM form"]),
        (lambda folder: folder.put("a.key", b"rubbish"), ["BRIDGE_TLS_KEY (", "no private key in PEM form"]),
        (lambda folder: cut(folder.folder / "a.pem"), ["BRIDGE_TLS_CERTIFICATE (", "cannot be read: copy it anew"]),
        (lambda folder: cut(folder.folder / "a.key"), ["a.key", "cannot be used"]),
        (lambda folder: encrypt(folder.folder / "a.key"), ["BRIDGE_TLS_KEY (", "protected by a password", "openssl"]),
        (lambda folder: swap_chain(folder.folder / "a.pem", folder), ["BRIDGE_TLS_KEY (", "does not fit"]),
        (
            lambda folder: folder.put("a.key", folder.write("b").key.read_bytes()),
            ["BRIDGE_TLS_KEY (", "does not fit BRIDGE_TLS_CERTIFICATE ("],
        ),
        (
            lambda folder: folder.write("a", not_after=datetime(2020, 2, 29, 12, tzinfo=UTC)),
            ["BRIDGE_TLS_CERTIFICATE (", "has expired", "2020-02-29 12:00 UTC", "Renew it"],
        ),
    ],
    ids=[
        *(
            "certificate missing",
            "key missing",
            "key is a folder",
            "certificate empty",
            "certificate in DER",
            "key is none",
        ),
        *("certificate cut", "key cut", "key encrypted", "wrong order", "key of another", "expired"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_setting(
    folder: CertificateFolder, damage: Callable[[CertificateFolder], object], told: list[str]
) -> None:
    files = folder.write("a")
    damage(folder)

    with pytest.raises(CertificateError) as error:
        ServerCertificates({"": files})
    for words in told:
        assert words in str(error.value)


def test_the_first_of_a_chain_to_expire_counts(folder: CertificateFolder) -> None:
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    late = folder.write("late")
    early = folder.write("early", not_after=soon)
    folder.put("late.pem", late.certificate.read_bytes() + early.certificate.read_bytes())

    assert read_pair(early).expires_at == soon.timestamp()
    assert read_pair(late).expires_at == soon.timestamp()
    assert ServerCertificates({"": early}).expiries == {str(early.certificate): soon.timestamp()}


@pytest.mark.parametrize(
    "end",
    [
        datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2049, 12, 31, tzinfo=UTC),
        datetime(2050, 1, 1, tzinfo=UTC),
    ],
    ids=["of the last century", "last of the short form", "first of the long form"],
)
def test_the_end_is_read_in_both_forms_of_time(folder: CertificateFolder, end: datetime) -> None:
    pem = folder.write("a", not_after=end).certificate.read_bytes()
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)

    assert latest_use(der) == end.timestamp()
    for size in range(len(der) // 2):
        with pytest.raises(ValueError, match=r"."):
            latest_use(der[:size])


def test_the_host_that_a_client_asks_for_decides(folder: CertificateFolder) -> None:
    found = ServerCertificates(
        {
            "": folder.write("a", "default.test"),
            "im.example.org": folder.write("b", "im.example.org"),
            "*.example.org": folder.write("c", "*.example.org"),
        }
    )

    assert shown(found, folder, "im.example.org") == {"im.example.org"}
    assert shown(found, folder, "IM.Example.ORG") == {"im.example.org"}
    assert shown(found, folder, "live.example.org") == {"*.example.org"}
    assert shown(found, folder, "a.live.example.org") == {"default.test"}
    assert shown(found, folder, "example.org") == {"default.test"}
    assert shown(found, folder, "other.test") == {"default.test"}


def test_a_new_certificate_is_used_once_both_its_files_are_there(folder: CertificateFolder) -> None:
    found = ServerCertificates({"": folder.write("a", "old.test")})
    new = folder.write("b", "new.test")

    folder.put("a.pem", new.certificate.read_bytes())
    found.refresh()
    folder.put("a.key", new.key.read_bytes())
    found.refresh()
    assert found.problem == ""
    found.refresh()

    assert shown(found, folder, "x") == {"new.test"}
    assert found.problem == ""


def test_a_new_one_that_does_not_fit_is_told_once_and_the_former_stays(
    folder: CertificateFolder, caplog: pytest.LogCaptureFixture
) -> None:
    found = ServerCertificates({"": folder.write("a", "old.test")})
    new = folder.write("b", "new.test")

    folder.put("a.pem", new.certificate.read_bytes())
    for _ in range(4):
        found.refresh()
    assert shown(found, folder, "x") == {"old.test"}
    assert "BRIDGE_TLS_KEY" in found.problem
    assert "does not fit" in found.problem
    assert len(caplog.records) == 1

    folder.put("a.key", new.key.read_bytes())
    found.refresh()
    found.refresh()
    assert shown(found, folder, "x") == {"new.test"}
    assert found.problem == ""


def test_a_process_forked_while_a_file_is_bad_serves_with_what_its_parent_read(
    folder: CertificateFolder, caplog: pytest.LogCaptureFixture
) -> None:
    files = folder.write("a", "old.test")
    ServerCertificates({"": files})
    folder.put("a.key", b"rubbish")

    found = ServerCertificates({"": files})

    assert shown(found, folder, "x") == {"old.test"}
    assert "no private key" in found.problem
    assert "as it was read before" in caplog.text
