"""The connection to Kafka: brokers, credentials, certificates."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator

from common.renewed import RenewedContext, RenewedPassword
from common.secret_files import variable_name
from common.settings.settings_group import SettingsGroup

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class KafkaSettings(SettingsGroup):
    """Where the brokers are, and who we are to them."""

    heading: ClassVar[str] = "Connection to Kafka"

    kafka_bootstrap_servers: str = Field("localhost:9092", description="Brokers to find the cluster by, `host:port,…`.")
    kafka_security_protocol: SecurityProtocol = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."
    )
    kafka_sasl_mechanism: SaslMechanism = Field("PLAIN", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.")
    kafka_sasl_username: str | None = Field(None, description="User name for SASL.")
    kafka_sasl_password: SecretStr | None = Field(None, description="Password for SASL.")
    kafka_ssl_cafile: FilePath | None = Field(
        None, description="PEM file with the authorities that signed the brokers' certificates; default: the system's."
    )
    kafka_ssl_certfile: FilePath | None = Field(
        None, description="PEM file with the client's certificate, for mutual TLS."
    )
    kafka_ssl_keyfile: FilePath | None = Field(None, description="PEM file with the client's private key.")
    kafka_ssl_check_hostname: bool = Field(True, description="Whether a broker's certificate must name its host.")

    @model_validator(mode="after")
    def _check_sasl(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError(
                f"{self.kafka_security_protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD to be set"
            )
        return self

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _check_bootstrap_servers(cls, servers: str) -> str:
        addresses = [address for address in map(str.strip, servers.split(",")) if address]
        if not addresses:
            raise ValueError("no broker is named: write host:port,host:port,…")
        for address in addresses:
            check_address(address)
        return ",".join(addresses)

    def remarks(self) -> Iterator[str]:
        """What is set and has no effect, or may not do what is meant: one line each, for people."""
        yield from super().remarks()
        protocol = f"{variable_name(type(self), 'kafka_security_protocol')} is {self.kafka_security_protocol}"
        unused: set[str] = set()
        if not self.kafka_security_protocol.startswith("SASL"):
            unused |= {"kafka_sasl_mechanism", "kafka_sasl_username", "kafka_sasl_password"}
        if not self.kafka_security_protocol.endswith("SSL"):
            unused |= {"kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile", "kafka_ssl_check_hostname"}
        for name in sorted(unused & self.model_fields_set):
            yield f"{variable_name(type(self), name)} has no effect while {protocol}"
        if self.kafka_ssl_keyfile is not None and self.kafka_ssl_certfile is None:
            key, certificate = (variable_name(type(self), f"kafka_ssl_{kind}file") for kind in ("key", "cert"))
            yield f"{key} has no effect without {certificate}"

    def kafka_client(self) -> dict[str, Any]:
        """Arguments that every aiokafka client of this process takes.

        Certificates and password are read anew for each connection, also of clients that exist.

        Raises:
            OSError: a certificate cannot be used; the message names its setting.
        """
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
        }
        if "SSL" in self.kafka_security_protocol.split("_"):
            files = (self.kafka_ssl_cafile, self.kafka_ssl_certfile, self.kafka_ssl_keyfile)
            arguments["ssl_context"] = RenewedContext(self._make_ssl_context, filter(None, files))
        if self.kafka_security_protocol.startswith("SASL"):
            arguments |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_sasl_username,
                "sasl_plain_password": RenewedPassword(self._kafka_password),
            }
        return arguments

    def _make_ssl_context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.kafka_ssl_cafile)
        except OSError as error:
            raise self._unusable(error, "kafka_ssl_cafile") from error
        context.check_hostname = self.kafka_ssl_check_hostname
        if self.kafka_ssl_certfile is not None:
            try:
                # With an empty password: without one OpenSSL would ask for it at the terminal.
                context.load_cert_chain(self.kafka_ssl_certfile, self.kafka_ssl_keyfile, password="")
            except OSError as error:
                raise self._unusable(error, "kafka_ssl_certfile", "kafka_ssl_keyfile") from error
        return context

    def _unusable(self, error: OSError, *fields: str) -> OSError:
        named = [f"{variable_name(type(self), name)} ({path})" for name in fields if (path := getattr(self, name))]
        if isinstance(error, ssl.SSLError):
            of_one, of_two = "no certificate in PEM form", "no certificate with its key, in PEM form and not encrypted"
            why = f"{of_two if len(fields) > 1 else of_one} ({error.reason or error.strerror})"
        else:
            why = error.strerror or str(error)
        return OSError(f"{' with '.join(named)} cannot be used: {why}")

    def _kafka_password(self) -> str:
        password = self.latest().kafka_sasl_password
        return password.get_secret_value() if password else ""


def check_address(address: str) -> None:
    """See that a text is `host:port`, or `[IPv6]:port`.

    Raises:
        ValueError: it is not; the message says how it is written.
    """
    found = re.fullmatch(r"(?:\[[0-9A-Fa-f:.%\w]+\]|[^\s:/@\[\]?#]+)(?::(\d{1,5}))?", address)
    if found is None or (found[1] is not None and not 1 <= int(found[1]) <= 65535):
        raise ValueError(
            f"{address!r} is no address of a broker: write host:port, without a scheme; several with commas between"
        )
