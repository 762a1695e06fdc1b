"""TLS on the port of the callbacks, and the PROXY protocol of fronts that pass connections through."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from common.settings import SettingsGroup

PemPath = Annotated[Path, WithJsonSchema({"type": "string", "format": "file-path"})]
"""A file in PEM form. Whether it is there is looked at where it is read: whoever rescues a journal needs none."""

_HOST = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


class CertificateFiles(NamedTuple):
    """A certificate with those that signed it, its private key, and the settings that name them."""

    certificate: Path
    key: Path
    certificate_setting: str
    key_setting: str


class TlsSettings(SettingsGroup):
    """Connections that are encrypted up to here, and connections that a front passes on as they are."""

    heading: ClassVar[str] = "TLS and the PROXY protocol"
    read_more: ClassVar[str] = "security.md#tls-in-the-ingress"

    tls_certificate: PemPath | None = Field(
        None,
        description="""PEM file with the certificate for callbacks, and behind it those that signed it. With it the port
        speaks TLS 1.2 and 1.3 alone. It is read anew when it changes.""",
    )
    tls_key: PemPath | None = Field(
        None, description="PEM file with its private key, without a password. It is read anew when it changes."
    )
    tls_sni: dict[str, dict[Literal["certificate", "key"], Path]] = Field(
        {},
        description="""JSON: other certificates, by the host that a client asks for (or `*.example.org`), e.g.
        `{"im.example.org":{"certificate":"/etc/tls/im.pem","key":"/etc/tls/im.key"}}`. All others get
        BRIDGE_TLS_CERTIFICATE.""",
    )
    proxy_protocol: bool = Field(
        False,
        description="""`on`: whoever is in BRIDGE_TRUSTED_PROXIES must begin each connection with a header of the PROXY
        protocol, version 1 or 2, which says who is connected to it. From others none is taken.""",
    )

    @field_validator("tls_sni")
    @classmethod
    def _check_sni(
        cls, hosts: dict[str, dict[Literal["certificate", "key"], Path]]
    ) -> dict[str, dict[Literal["certificate", "key"], Path]]:
        for host, files in hosts.items():
            if not _HOST.fullmatch(host.lower()):
                raise ValueError(
                    f"{host!r} is no name of a host: write it in ASCII (xn--…) without port and path, as in"
                    " im.example.org, or *.example.org for each host directly below"
                )
            if len(files) != 2:
                raise ValueError(
                    f'{host} needs two files, as in {{"certificate":"/etc/tls/a.pem","key":"/etc/tls/a.key"}}'
                )
        if len({host.lower() for host in hosts}) < len(hosts):
            raise ValueError("a host stands there twice, in capitals and in small letters: remove one")
        return hosts

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            given, missing = ("CERTIFICATE", "KEY") if self.tls_key is None else ("KEY", "CERTIFICATE")
            raise ValueError(f"BRIDGE_TLS_{given} is set, and BRIDGE_TLS_{missing} is not: TLS needs both, or neither")
        if self.tls_sni and self.tls_certificate is None:
            raise ValueError(
                "BRIDGE_TLS_SNI is set, and BRIDGE_TLS_CERTIFICATE with BRIDGE_TLS_KEY is not: clients that ask for"
                " another host, or for none, need a certificate too"
            )
        return self

    @property
    def certificate_files(self) -> dict[str, CertificateFiles]:
        """By host in small letters; the one for all others under an empty one. Empty without TLS."""
        if self.tls_certificate is None or self.tls_key is None:
            return {}
        found = {"": CertificateFiles(self.tls_certificate, self.tls_key, "BRIDGE_TLS_CERTIFICATE", "BRIDGE_TLS_KEY")}
        for host, files in self.tls_sni.items():
            of_host = f"of {host} in BRIDGE_TLS_SNI"
            found[host.lower()] = CertificateFiles(
                files["certificate"], files["key"], f"the certificate {of_host}", f"the key {of_host}"
            )
        return found
