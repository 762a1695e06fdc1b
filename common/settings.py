"""What the settings of every process have in common: their sources, secrets from files, the Kafka connection."""

from __future__ import annotations

import os
import re
import ssl
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from dotenv import dotenv_values
from pydantic import Field, FilePath, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from common.unique_names import refuse_repeated_names

NEARLY = 0.7
"""How alike two names, without their prefix, must be for one to be the other misspelt, or cut short."""

_SERVICE = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_[0-9]+_")
"""In variables that Kubernetes adds for each service of a namespace."""

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class SecretFiles(PydanticBaseSettingsSource):
    """Reads `<NAME>_FILE`: the path of a file that holds the setting `<NAME>`, as containers mount secrets."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self._given = {**dotenv_values(".env"), **os.environ}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """What the file of a field holds (None where none is named), the field's name, and whether it is JSON.

        Raises:
            SettingsError: both the setting and its file are given, or the file cannot be read.
        """
        variable = variable_name(self.settings_cls, field_name)
        path = self._given.get(f"{variable}_FILE")
        if not path:
            return None, field_name, False
        if self._given.get(variable):
            raise SettingsError(f"{variable} and {variable}_FILE are both set: remove one, or leave it empty")
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{variable}_FILE names {path}, which cannot be read: {error.strerror}") from error
        return value, field_name, self.field_is_complex(field)

    def __call__(self) -> dict[str, Any]:
        """The value of every setting that comes from a file, by the name of its field. Raises SettingsError."""
        found: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, is_complex = self.get_field_value(field, name)
            if value is not None:
                found[key] = self.prepare_field_value(name, field, value, is_complex)
        return found


class Settings(BaseSettings):
    """Base of a process's settings. Strongest source first: arguments, environment, `<NAME>_FILE`, `.env`, default.

    A setting that is given both as a value and as a file is an error, whatever their order: one of them is a mistake.
    """

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

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
    topic_partitions: int = Field(
        12, ge=1, description="Partitions of a topic that we create. Raising them later breaks the order of keys."
    )
    topic_replication: int = Field(
        -1, ge=-1, description="Replication factor of a topic that we create; -1 = the broker's default."
    )
    log_format: Literal["text", "json"] = Field("text", description="`text` for people, `json` for collectors.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put `<NAME>_FILE` between the environment and `.env`."""
        sources = init_settings, env_settings, SecretFiles(settings_cls), dotenv_settings, file_secret_settings
        for source in sources:
            refuse_repeated_names(source, settings_cls.model_config.get("env_prefix", ""))
        return sources

    @model_validator(mode="after")
    def _check_sasl(self) -> Self:
        if self.kafka_security_protocol.startswith("SASL") and not (
            self.kafka_sasl_username and self.kafka_sasl_password
        ):
            raise ValueError(
                f"{self.kafka_security_protocol} needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD to be set"
            )
        return self

    def remarks(self) -> Iterator[str]:
        """What is set and has no effect, or may not do what is meant: one line each, for people."""
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
        """Arguments that every aiokafka client of this process takes; certificates are read anew at each call.

        Raises:
            OSError, ssl.SSLError: a certificate file cannot be read.
        """
        arguments: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
        }
        if "SSL" in self.kafka_security_protocol.split("_"):
            context = ssl.create_default_context(cafile=self.kafka_ssl_cafile)
            context.check_hostname = self.kafka_ssl_check_hostname
            if self.kafka_ssl_certfile is not None:
                context.load_cert_chain(self.kafka_ssl_certfile, self.kafka_ssl_keyfile)
            arguments["ssl_context"] = context
        if self.kafka_security_protocol.startswith("SASL"):
            password = self.kafka_sasl_password
            arguments |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_sasl_username,
                "sasl_plain_password": password.get_secret_value() if password else None,
            }
        return arguments


def retention_ms(hours: int) -> int:
    """Kafka's `retention.ms` of a topic that keeps its records for so many hours, or for ever if none or negative."""
    return hours * 3_600_000 if hours > 0 else -1


AnySettings = TypeVar("AnySettings", bound=Settings)


def variable_name(settings_class: type[BaseSettings], field_name: str) -> str:
    """Environment variable of a field: `variable_name(BridgeSettings, "port")` is `BRIDGE_PORT`."""
    return f"{settings_class.model_config.get('env_prefix', '')}{field_name}".upper()


def meaning_of(settings_class: type[BaseSettings], field_name: str) -> str:
    """What a field is for, in one line."""
    return " ".join((settings_class.model_fields[field_name].description or "").split())


def load_settings(settings_class: type[AnySettings], **arguments: Any) -> AnySettings:
    """Read the settings, or end the program with one line for each that is wrong (exit status 2).

    A variable whose name is nearly that of a setting is none, and would be missed by nobody: it is told, too.
    """
    for name, meant in _misspelt(settings_class):
        print(f"warning: {name} is no setting and has no effect; is {meant} meant?", file=sys.stderr)  # noqa: T201
    try:
        return _told(settings_class(**arguments))
    except ValidationError as error:
        problems = [_problem(settings_class, item) for item in error.errors()]
    except SettingsError as error:
        problems = [_unreadable(settings_class, error)]
    print("\n".join(f"error: {problem}" for problem in problems), file=sys.stderr)  # noqa: T201
    raise SystemExit(2)


def _told(settings: AnySettings) -> AnySettings:
    for remark in settings.remarks():
        print(f"warning: {remark}", file=sys.stderr)  # noqa: T201
    return settings


def _misspelt(settings_class: type[Settings]) -> Iterator[tuple[str, str]]:
    prefix = settings_class.model_config.get("env_prefix", "")
    names = {name.upper() for name in settings_class.model_fields}
    names |= {f"{name}_FILE" for name in names}
    given = {name.upper() for name in (*os.environ, *dotenv_values(".env"))}
    unknown = {name.removeprefix(prefix) for name in given if name.startswith(prefix)} - names
    for name in sorted(name for name in unknown if not _SERVICE.search(name)):
        if near := get_close_matches(name, names, n=1, cutoff=NEARLY):
            yield f"{prefix}{name}", f"{prefix}{near[0]}"


def _unreadable(settings_class: type[Settings], error: SettingsError) -> str:
    """A value that is no JSON, told without showing it: it may be a secret."""
    field = re.search(r'for field "(\w+)"', str(error))
    cause = error.__cause__
    if isinstance(cause, SettingsError):
        return str(cause)
    if field is None:
        return str(error)
    where = f" ({cause.msg} at character {cause.pos + 1})" if isinstance(cause, JSONDecodeError) else ""
    name = field[1]
    return f"{variable_name(settings_class, name)} is no JSON{where}. {meaning_of(settings_class, name)}"


def _problem(settings_class: type[Settings], item: Any) -> str:
    message = str(item["msg"]).removeprefix("Value error, ")
    if not item["loc"]:
        return message
    name = str(item["loc"][0])
    variable = variable_name(settings_class, name)
    description = meaning_of(settings_class, name)
    if item["type"] == "missing":
        return f"{variable} is not set. {description}"
    # Of the shape of a JSON value the message of the library says little.
    return f"{variable}: {message}" + (f". {description}" if item["type"].endswith("_type") else "")


def reference(settings_class: type[Settings]) -> Iterator[tuple[str, str, str]]:
    """Every setting as (environment variable, default, meaning), in the order of the class, its own fields first."""
    inherited = Settings.model_fields
    for name, field in sorted(settings_class.model_fields.items(), key=lambda item: item[0] in inherited):
        default = "required" if field.is_required() else "" if field.default is None else str(field.default)
        yield variable_name(settings_class, name), default, meaning_of(settings_class, name)
