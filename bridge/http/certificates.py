"""The certificates of the port: read and checked, by the host that a client asks for, and read anew when they change.

A new certificate holds for connections that begin after it was read; those that there are keep theirs.
"""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

from bridge.http.der import latest_use
from bridge.settings import BridgeSettings
from bridge.settings.tls import CertificateFiles
from common.logs import fields
from common.renewed import versions_of

log = logging.getLogger(__name__)

HTTP_1_1 = ["http/1.1"]
CERTIFICATE_BEGINS = "-----BEGIN CERTIFICATE-----"
CERTIFICATE_ENDS = "-----END CERTIFICATE-----"
KEY_BEGINS = "PRIVATE KEY-----"
_WRONG_KEY = {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"}


class CertificateError(OSError):
    """A certificate cannot be used; the message names its setting, and says what to do."""


class PemPair(NamedTuple):
    """What a certificate's two files hold, and until when it is of use."""

    certificate: bytes
    key: bytes
    expires_at: float
    """Unix time in seconds at which the first of its certificates expires."""


_read_before: dict[CertificateFiles, PemPair] = {}
"""What was read last. A process forked while a file holds what is wrong has it from its parent, and can serve."""


class ServerCertificates:
    """What clients are shown.

    Args:
        files: by host in small letters, perhaps `*.` and a host; the one for all others under an empty one.

    Raises:
        CertificateError: one cannot be used.
    """

    def __init__(self, files: Mapping[str, CertificateFiles]) -> None:
        self._files = dict(files)
        self._paths = [path for each in self._files.values() for path in (each.certificate, each.key)]
        self._read = self._seen = versions_of(self._paths)
        self._pairs: dict[CertificateFiles, PemPair] = {}
        self.problem = ""
        """Why what the files hold now is not used, for people; empty: it is."""
        self._take(self._first_pairs())

    @classmethod
    def from_settings(cls, settings: BridgeSettings) -> Self | None:
        """Those that the settings name; None: the port speaks no TLS. Raises CertificateError."""
        return cls(settings.certificate_files) if settings.certificate_files else None

    @property
    def expiries(self) -> dict[str, float]:
        """Unix time in seconds at which each expires, by its file."""
        return {str(files.certificate): pair.expires_at for files, pair in self._pairs.items()}

    def refresh(self) -> None:
        """Read them anew if they have changed; to be called every now and then.

        Two files are rarely replaced at once, so they are read when they have not changed between two looks.
        """
        now = versions_of(self._paths)
        seen, self._seen = self._seen, now
        if now == self._read or now != seen:
            return
        self._read = now
        try:
            pairs = {files: read_pair(files) for files in self._files.values()}
            self._take(pairs)
        except CertificateError as error:
            self.problem = str(error)
            log.error(
                "a certificate has changed and is not used, the former is: %s",
                error,
                extra=fields("certificate_refused", reason=self.problem),
            )
        else:
            self.problem = ""
            log.info("certificates were read anew: %s", self._described(), extra=fields("certificate_renewed"))

    def _first_pairs(self) -> dict[CertificateFiles, PemPair]:
        pairs = {}
        for files in self._files.values():
            try:
                pairs[files] = read_pair(files)
            except CertificateError as error:
                if files not in _read_before:
                    raise
                self.problem = str(error)
                log.error(
                    "a certificate is used as it was read before: %s",
                    error,
                    extra=fields("certificate_refused", reason=self.problem),
                )
                pairs[files] = _read_before[files]
        return pairs

    def _take(self, pairs: Mapping[CertificateFiles, PemPair]) -> None:
        contexts = {host: context_of(pairs[files], files) for host, files in self._files.items()}
        for host, context in contexts.items():
            if not host:
                self.context = _choosing(context, contexts)
        self._pairs = dict(pairs)
        _read_before.update(pairs)

    def _described(self) -> str:
        return ", ".join(f"{file} until {day_of(expires_at)}" for file, expires_at in sorted(self.expiries.items()))


def read_pair(files: CertificateFiles) -> PemPair:
    """What the files hold.

    Raises:
        CertificateError: they cannot be read, do not belong together, or are of no use any more.
    """
    certificate = _content(files.certificate, files.certificate_setting)
    key = _content(files.key, files.key_setting)
    named = f"{files.certificate_setting} ({files.certificate})"
    if CERTIFICATE_BEGINS.encode() not in certificate:
        raise CertificateError(f"{named} holds no certificate in PEM form: none begins with {CERTIFICATE_BEGINS}")
    if KEY_BEGINS.encode() not in key:
        raise CertificateError(f"{files.key_setting} ({files.key}) holds no private key in PEM form")
    try:
        expires_at = min(map(latest_use, _certificates_in(certificate)))
    except ValueError as error:
        raise CertificateError(f"{named} holds a certificate that cannot be read: copy it anew") from error
    pair = PemPair(certificate, key, expires_at)
    context_of(pair, files)
    if expires_at <= time.time():
        raise CertificateError(
            f"{named} has expired, or one that signed it, on {day_of(expires_at)}: no client would accept it. Renew it"
        )
    return pair


def context_of(pair: PemPair, files: CertificateFiles) -> ssl.SSLContext:
    """Of a server that shows this certificate.

    Raises:
        CertificateError: it and the key are none.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client that begins anew in the middle of a connection makes much work at little cost of its own.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(HTTP_1_1)
    asked = False

    def password() -> str:
        nonlocal asked
        asked = True
        return ""

    try:
        with _InMemory(pair.certificate) as certificate, _InMemory(pair.key) as key:
            context.load_cert_chain(certificate.path, key.path, password)
    except ssl.SSLError as error:
        named = f"{files.key_setting} ({files.key})"
        if asked:
            why = (
                f"{named} is protected by a password, and nobody is there to type it: `openssl pkey` writes it without"
            )
        elif error.reason in _WRONG_KEY:
            why = (
                f"{named} does not fit {files.certificate_setting} ({files.certificate}), whose first certificate must"
                " be that of the key, and those that signed it behind it"
            )
        else:
            why = (
                f"{files.certificate_setting} ({files.certificate}) with {named} cannot be used:"
                f" {error.reason or error.strerror}"
            )
        raise CertificateError(why) from error
    return context


def day_of(unix_s: float) -> str:
    """A time as people write it, in UTC."""
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d %H:%M} UTC"


def _choosing(default: ssl.SSLContext, contexts: Mapping[str, ssl.SSLContext]) -> ssl.SSLContext:
    """`default`, which lets the host that a client asks for decide."""

    def choose(connection: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
        name = (host or "").lower().rstrip(".")
        chosen = contexts.get(name) or contexts.get(f"*.{name.partition('.')[2]}")
        if chosen is not None:
            connection.context = chosen

    if len(contexts) > 1:
        default.sni_callback = choose
    return default


def _content(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CertificateError(f"{setting} ({path}) cannot be read: {error.strerror}") from error


def _certificates_in(pem: bytes) -> list[bytes]:
    """Each certificate, in DER. Raises ValueError: one is none."""
    found = []
    for part in pem.decode("latin-1").split(CERTIFICATE_BEGINS)[1:]:
        body, end, _ = part.partition(CERTIFICATE_ENDS)
        if not end:
            raise ValueError("a certificate has no end")
        found.append(ssl.PEM_cert_to_DER_cert(f"{CERTIFICATE_BEGINS}{body}{CERTIFICATE_ENDS}\n"))
    return found


class _InMemory:
    """A file that is in memory alone, for a library that takes paths: what was checked is what is used."""

    def __init__(self, content: bytes) -> None:
        self._descriptor = os.memfd_create("certificate")
        self.path = f"/proc/self/fd/{self._descriptor}"
        os.write(self._descriptor, content)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
