"""What the settings of every process have in common: their sources, secrets from files, the Kafka connection."""

from __future__ import annotations

import logging
import os
import re
import ssl
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Literal, NoReturn, Self, TypeVar

from dotenv import dotenv_values
from pydantic import Field, FilePath, PrivateAttr, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from common.env_file import ENV_FILE, lines_without_effect
from common.nearest_name import nearest_name
from common.renewed import FileVersions, RenewedContext, RenewedPassword, versions_of
from common.secret_files import SecretFiles, variable_name
from common.unique_names import refuse_repeated_names

log = logging.getLogger(__name__)

NEARLY = 0.7
"""How alike two names, without their prefix, must be for one to be the other misspelt, or cut short."""

OF_COMPOSE = {"BRIDGE_BIND"}
"""Variables of docker-compose.yml, which stand in the same `.env`."""

_SERVICE = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_[0-9]+_")
"""In variables that Kubernetes adds for each service of a namespace."""

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


@dataclass
class _Origin:
    """Where settings came from, for reading them anew."""

    arguments: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    """Field → the file of its `<NAME>_FILE`."""
    read: FileVersions = ()
    """The files as they were when they were read last."""
    latest: Any = None
    """The settings from what was read last; None: those themselves."""


class Settings(BaseSettings):
    """Base of a process's settings. Strongest source first: arguments, environment, `<NAME>_FILE`, `.env`, default.

    A setting that is given both as a value and as a file is an error, whatever their order: one of them is a mistake.
    What comes from a file may be replaced while we run: `latest`.
    """

    model_config = SettingsConfigDict(env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True)

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
    _origin: _Origin = PrivateAttr(default_factory=_Origin)

    def __init__(self, **arguments: Any) -> None:
        files = SecretFiles(type(self)).files()
        read = versions_of(files.values())
        super().__init__(**arguments)
        self._origin = _Origin(arguments, files, read)

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

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _check_bootstrap_servers(cls, servers: str) -> str:
        addresses = [address for address in map(str.strip, servers.split(",")) if address]
        if not addresses:
            raise ValueError("no broker is named: write host:port,host:port,…")
        for address in addresses:
            check_address(address)
        return ",".join(addresses)

    def latest(self) -> Self:
        """These settings, with what the files of `<NAME>_FILE` hold now; all else is as it was at the start.

        A file that cannot be read, or holds what is wrong, is told in the log, and what was read before stays.
        """
        origin = self._origin
        now = versions_of(origin.files.values()) if origin.files else ()
        if now != origin.read:
            origin.read = now
            origin.latest = self._read_anew(origin.latest or self)
        return origin.latest or self

    def _read_anew(self, known: Self) -> Self:
        try:
            fresh = type(self)(**self._origin.arguments)
        except (ValidationError, SettingsError) as error:
            for problem in _problems(type(self), error):
                log.error("a file of a setting has changed and is not used, what it held before is: %s", problem)
            return known
        except (OSError, ValueError) as error:  # of another source than the files, such as .env
            log.error("the files of settings cannot be read anew, what they held before is used: %s", error)
            return known
        of_files = {name: getattr(fresh, name) for name in self._origin.files}
        changed = {name: value for name, value in of_files.items() if value != getattr(known, name)}
        for name in changed:
            log.info("%s_FILE has changed and was read anew", variable_name(type(self), name))
        if not changed:
            return known
        renewed = known.model_copy(update=changed)
        told = set(known.remarks())
        for remark in renewed.remarks():
            if remark not in told:
                log.warning("%s", remark)
        return renewed

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


def check_topic(name: str) -> str:
    """See that Kafka takes a name for a topic, and give it back.

    Raises:
        ValueError: it does not.
    """
    if name in {".", ".."} or not re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name):
        raise ValueError(f"{name!r} is no name that Kafka takes: letters, digits, `.`, `_` and `-` only, 249 at most")
    return name


def retention_ms(hours: int) -> int:
    """Kafka's `retention.ms` of a topic that keeps its records for so many hours, or for ever if none or negative."""
    return hours * 3_600_000 if hours > 0 else -1


AnySettings = TypeVar("AnySettings", bound=Settings)


def meaning_of(settings_class: type[BaseSettings], field_name: str) -> str:
    """What a field is for, in one line."""
    return " ".join((settings_class.model_fields[field_name].description or "").split())


def load_settings(settings_class: type[AnySettings], **arguments: Any) -> AnySettings:
    """Read the settings, or end the program with one line for each that is wrong (exit status 2).

    A variable whose name is nearly that of a setting is none, and would be missed by nobody: it is told, too.
    """
    _check_env_file()
    for warning in _without_effect(settings_class):
        print(f"warning: {warning}", file=sys.stderr)  # noqa: T201
    try:
        return _told(settings_class(**arguments))
    except (ValidationError, SettingsError) as error:
        _end_wrong(_problems(settings_class, error))


def _check_env_file() -> None:
    path = ENV_FILE.absolute()
    try:
        lines = lines_without_effect()
    except OSError as error:
        _end_wrong([f"{path} has settings and cannot be read: {error.strerror}"])
    except UnicodeDecodeError:
        _end_wrong([f"{path} has settings and is no text in UTF-8"])
    for line in lines:
        told = f"line {line} of {path} cannot be understood and has no effect: write NAME=value, and close quotes"
        print(f"warning: {told}", file=sys.stderr)  # noqa: T201


def _end_wrong(problems: Iterable[str]) -> NoReturn:
    print("\n".join(f"error: {problem}" for problem in problems), file=sys.stderr)  # noqa: T201
    raise SystemExit(2)


def _told(settings: AnySettings) -> AnySettings:
    for remark in settings.remarks():
        print(f"warning: {remark}", file=sys.stderr)  # noqa: T201
    return settings


def _problems(settings_class: type[Settings], error: ValidationError | SettingsError) -> list[str]:
    if isinstance(error, ValidationError):
        return [_problem(settings_class, item) for item in error.errors()]
    return [_unreadable(settings_class, error)]


def _without_effect(settings_class: type[Settings]) -> Iterator[str]:
    """What to say of the variables that look like settings and are none."""
    prefix = settings_class.model_config.get("env_prefix", "")
    names = {name.upper() for name in settings_class.model_fields}
    names |= {f"{name}_FILE" for name in names}
    given = {name.upper() for name in (*os.environ, *dotenv_values(ENV_FILE))}
    unknown = {name.removeprefix(prefix) for name in given - OF_COMPOSE if name.startswith(prefix)} - names
    for name in sorted(name for name in unknown if not _SERVICE.search(f"{prefix}{name}")):
        near = nearest_name(name, names, cutoff=NEARLY)
        yield f"{prefix}{name} is no setting and has no effect" + (f"; is {prefix}{near} meant?" if near else "")


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
    if item["type"] == "missing" and len(item["loc"]) == 1:
        return f"{variable} is not set. {description}"
    if len(item["loc"]) > 1:
        message = f"{'.'.join(map(str, item['loc'][1:]))}: {message}"
    # Of the shape of a JSON value the message of the library says little.
    return f"{variable}: {message}" + (f". {description}" if item["type"].endswith("_type") else "")


def reference(settings_class: type[Settings]) -> Iterator[tuple[str, str, str]]:
    """Every setting as (environment variable, default, meaning), concern by concern as they are composed."""
    for name in _names_in_order(settings_class):
        found = settings_class.model_fields[name]
        default = "required" if found.is_required() else "" if found.default is None else str(found.default)
        yield variable_name(settings_class, name), default, meaning_of(settings_class, name)


def _names_in_order(settings_class: type[Settings]) -> Iterator[str]:
    for declaring in settings_class.__mro__:
        yield from (name for name in vars(declaring).get("__annotations__", {}) if name in settings_class.model_fields)
