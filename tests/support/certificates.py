"""Certificates as an operator or an agent puts them into files, and clients that trust who signed them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from bridge.settings.tls import CertificateFiles


class CertificateFolder:
    """A folder with certificates of one authority: `NAME.pem` and `NAME.key`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()

    def write(self, name: str, *hosts: str, not_after: datetime | None = None) -> CertificateFiles:
        """A new certificate for these hosts, perhaps in place of one. Files change by rename, one after the other."""
        begin = not_after and min(not_after, datetime.now(UTC)) - timedelta(days=30)
        made = self.authority.issue_cert(*(hosts or ("localhost",)), not_before=begin, not_after=not_after)
        self.put(f"{name}.key", made.private_key_pem.bytes())
        self.put(f"{name}.pem", b"".join(blob.bytes() for blob in made.cert_chain_pems))
        return self.files(name)

    def put(self, file: str, content: bytes) -> Path:
        """A file with this content, in place of what there was."""
        fresh = self.folder / f"{file}.new"
        fresh.write_bytes(content)
        return fresh.rename(self.folder / file)

    def files(self, name: str) -> CertificateFiles:
        """Where they are, and what the settings are that name them."""
        place = self.folder
        return CertificateFiles(
            place / f"{name}.pem", place / f"{name}.key", "BRIDGE_TLS_CERTIFICATE", "BRIDGE_TLS_KEY"
        )

    def settings(self, name: str) -> dict[str, str]:
        """The environment variables that name it."""
        files = self.files(name)
        return {"BRIDGE_TLS_CERTIFICATE": str(files.certificate), "BRIDGE_TLS_KEY": str(files.key)}

    def client(self) -> ssl.SSLContext:
        """Of a client that trusts the authority."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def trust_file(self) -> Path:
        """The authority's certificate."""
        return self.put("authority.pem", self.authority.cert_pem.bytes())
