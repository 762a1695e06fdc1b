"""Settings of the ingress: environment variables `BRIDGE_*`, `<NAME>_FILE` for secrets, a `.env` file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from bridge.events import names
from bridge.events.base import SCHEMA_BASE
from bridge.setting_values import (
    AUTO,
    AllowedNetworks,
    check_apps,
    check_url,
    never_asked,
    too_many_tokens,
    why_never,
)
from common.networks import IPNetwork, Network
from common.rest.app import IM_APPS_FORM, ImApps
from common.settings import Settings, check_topic, meaning_of, retention_ms
from common.topic import Topic

MEBIBYTE = 1024 * 1024
MAX_SECONDS = 7 * 86_400
"""No time among the settings is longer: what is, is a slip, and clocks overflow."""
DEAD_LETTER_BYTES = 64 * 1024
"""What a dead letter has beside the body: the query above all."""
DEV_APP = "1400000000"
DEV_TOKEN = "dev-token"  # noqa: S105 - what `bridge dev` accepts where nothing is configured


class BridgeSettings(Settings):
    """Each field is the variable `BRIDGE_<NAME>`; `bridge settings` prints the table of all of them.

    The fields are in one class, though many, because variables have no other structure than their names.
    """

    model_config = SettingsConfigDict(env_prefix="BRIDGE_")

    apps: dict[str, list[SecretStr]] = Field(
        description="""JSON: each app's SdkAppid with its callback tokens (one of each product that has its own, two
        while one replaces the other, none where authentication is off), e.g. `{"1400000000":["token-a"]}`."""
    )
    host: str = Field("0.0.0.0", description="Address for callbacks.")  # noqa: S104 - the platform calls from outside
    port: int = Field(8080, ge=0, le=65535, description="Port for callbacks.")
    workers: int = Field(1, ge=1, le=64, description="Processes on the port; each has a journal of its own.")
    hung_after_s: float = Field(
        10.0, gt=1, description="A process whose event loop has not moved for this long is killed and started again."
    )
    start_timeout_s: float = Field(
        60.0,
        gt=1,
        description="""The same for a process that does not accept callbacks yet; doubled with each that was killed. For
        neither does the time count in which the machine did not let the process run.""",
    )
    max_connections: int = Field(
        10_000,
        ge=1,
        description="""Most connections of a process, and never more than its limit of open files allows. When all are
        in use, those that have brought no authentic request give way to new ones, the oldest first.""",
    )
    admin_host: str = Field(
        "127.0.0.1", description="Address for health checks and metrics; `0.0.0.0` for whoever asks from outside."
    )
    admin_port: int = Field(
        9090, ge=0, le=65535, description="Port for `/healthz`, `/readyz`, `/metrics`, `/drift`; 0 = none."
    )
    topic: str = Field("im.events", description="Topic for events.")
    dlq_topic: str = Field("im.events.dlq", description="Topic for what could not be understood: the dead letters.")
    topic_retention_hours: int = Field(
        168, ge=-1, description="How long a topic of events that we create keeps them; -1 = for ever."
    )
    dlq_retention_hours: int = Field(720, ge=-1, description="The same for dead letters.")
    journal_dir: Path = Field(Path("./journal"), description="Folder of the journals; each process has one of its own.")
    journal_max_bytes: int = Field(
        2048 * MEBIBYTE, ge=MEBIBYTE, description="Disk budget of a process's journal; beyond it callbacks are refused."
    )
    quarantine_max_bytes: int = Field(
        256 * MEBIBYTE,
        ge=MEBIBYTE,
        description="What records that Kafka refuses for good may take on disk; what is beyond counts as the journal.",
    )
    adopt_interval_s: float = Field(
        60.0, gt=0, description="How often a process looks for journals whose owner is gone, to publish them."
    )
    memory_max_bytes: int = Field(
        64 * MEBIBYTE, ge=MEBIBYTE, description="What a process may hold that is neither on disk nor in Kafka yet."
    )
    read_ahead_bytes: int = Field(
        4 * MEBIBYTE,
        ge=MEBIBYTE,
        description="How much of the backlog of a topic is read at a time; twice that is in memory: waiting, leased.",
    )
    reply_deadline_ms: int = Field(
        500, ge=50, le=1900, description="A reply leaves within this time. The platform waits 2 s."
    )
    decision_urls: dict[str, SecretStr] = Field(
        {},
        description="""JSON: before-callback, `Chatbot.OnC2CSignalMessage` or a pattern such as `Group.CallbackBefore*`
        → URL of your endpoint that decides it, e.g. `{"C2C.CallbackBeforeSendMsg":"http://moderation:8000/decide"}`. A
        name comes before patterns, these in their order; each must match one that is documented to await an answer.
        What none is for is allowed; a signal to a chatbot gets no data.""",
    )
    decision_deadline_ms: int = Field(
        300, ge=10, le=1800, description="How long such an endpoint has, within BRIDGE_REPLY_DEADLINE_MS."
    )
    decision_on_failure: Literal["allow", "refuse"] = Field(
        "allow", description="Of a before-callback that such an endpoint does not decide: `allow` or `refuse` it."
    )
    decision_connections: int = Field(
        100, ge=1, le=10_000, description="Most connections of a process to the host of such an endpoint."
    )
    gather_ms: float = Field(
        2.0, ge=0, le=100, description="How long callbacks gather at most, to be journaled and sent as one group."
    )
    sync_after_ms: float = Field(
        10.0, ge=0, le=1000, description="A group that Kafka has not confirmed by then, or a little later, is synced."
    )
    clock_skew_s: int = Field(60, ge=1, description="Most by which RequestTime may differ from our clock.")
    stale_per_minute: int = Field(
        600,
        ge=0,
        description="Callbacks with a right signature and a stale time that are kept as dead letters per minute.",
    )
    stale_bytes_per_minute: int = Field(
        4 * MEBIBYTE,
        ge=0,
        description="The same in bytes. None are kept while a tenth of BRIDGE_JOURNAL_MAX_BYTES is used.",
    )
    stale_max_age_hours: float = Field(
        12.0, gt=0, le=72, description="Callbacks whose time differs by more than this are refused and never kept."
    )
    max_body_bytes: int = Field(MEBIBYTE, ge=1024, description="Largest body that is accepted, also once unpacked.")
    bodies_max_bytes: int = Field(
        64 * MEBIBYTE,
        ge=MEBIBYTE,
        description="""What the bodies of a process may take from their first byte to the reply; beyond it callbacks
        are refused with 503. Bodies that are not whole yet may take half of it, and the oldest of them give way.""",
    )
    max_record_bytes: int = Field(
        0,
        ge=0,
        validate_default=True,
        description="""Largest record that the topics take; a callback whose event is larger becomes a dead letter.
        Topics that we create get it as `max.message.bytes`; those that exist must have at least that.
        0 = twice BRIDGE_MAX_BODY_BYTES and 256 KiB, and no less than 1.25 MiB.""",
    )
    max_in_flight: int = Field(10_000, ge=1, description="Most callbacks that wait for their reply at a time.")
    head_timeout_s: float = Field(
        10.0,
        gt=0,
        description="""How long the head of a request may take to arrive. Until a connection has brought an authentic
        request, the wait for it counts.""",
    )
    body_timeout_s: float = Field(5.0, gt=0, description="How long the body of a request may take to arrive.")
    keepalive_s: float = Field(
        3600.0,
        gt=0,
        description="""How long an idle connection is kept that has brought an authentic request. Must exceed that of
        a proxy in front.""",
    )
    allowed_networks: AllowedNetworks = Field(
        [],
        description="""JSON list of networks that may post, e.g. `["203.0.113.0/24"]`. `auto`, by itself or in the list:
        those that the platform names, which is asked with BRIDGE_IM_APPS. Empty = any.""",
    )
    allowed_networks_region: Literal["any", "china", "abroad"] = Field(
        "any",
        description="""Where your server is, with `auto`: `china` (with Hong Kong) or `abroad`; the platform has a list
        of the addresses that it calls from for each. `any` = both lists.""",
    )
    allowed_networks_interval_s: float = Field(
        21_600.0, ge=1, description="With `auto`: how often the platform is asked; after a failure it is asked sooner."
    )
    allowed_networks_keep_s: float = Field(
        86_400.0, ge=0, description="With `auto`: how long a network may still post that the platform names no more."
    )
    im_apps: ImApps = Field({}, description=f"JSON, for BRIDGE_ALLOWED_NETWORKS=auto: {IM_APPS_FORM}")
    trusted_proxies: list[Network] = Field(
        [], description="JSON list of networks of our own proxies, whose X-Forwarded-For is believed."
    )
    schema_base: str = Field(
        SCHEMA_BASE, description="What `dataschema` begins with; the event type and `.json` follow."
    )
    drop_fields: str = Field(
        "",
        description="""Fields of callbacks that reach neither disk nor topic, at any depth, by the platform's names,
        e.g. `MsgBody,CloudCustomData`. A body that nobody can read is kept by its size and SHA-256 only.""",
    )
    keep_raw: bool = Field(
        False, description="Whether events carry the original body and query in the headers `raw-body`, `raw-query`."
    )
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "none", description="How records are compressed on their way to Kafka."
    )
    kafka_stall_s: float = Field(
        20.0,
        gt=0,
        description="A producer that has confirmed nothing for this long is replaced, its brokers looked up anew.",
    )
    stop_timeout_s: float = Field(8.0, gt=0, description="A graceful stop takes no longer than this.")

    @field_validator("apps")
    @classmethod
    def _check_apps(cls, apps: dict[str, list[SecretStr]]) -> dict[str, list[SecretStr]]:
        check_apps(apps)
        return apps

    @field_validator("topic", "dlq_topic")
    @classmethod
    def _check_topic(cls, name: str) -> str:
        return check_topic(name)

    @field_validator("topic_retention_hours", "dlq_retention_hours")
    @classmethod
    def _check_retention(cls, hours: int) -> int:
        if hours == 0:
            raise ValueError("0 hours would keep nothing: give a number of hours, or -1 for ever")
        return hours

    @field_validator("*")
    @classmethod
    def _check_seconds(cls, value: Any, info: ValidationInfo) -> Any:
        if (info.field_name or "").endswith("_s") and not value <= MAX_SECONDS:
            raise ValueError(f"{value} is more than a week ({MAX_SECONDS} s)")
        return value

    @field_validator("max_record_bytes")
    @classmethod
    def _check_record_bytes(cls, record_bytes: int, info: ValidationInfo) -> int:
        body_bytes = info.data.get("max_body_bytes")
        if body_bytes is None:  # It is wrong, which is told.
            return record_bytes
        if record_bytes == 0:
            return max(2 * int(body_bytes), MEBIBYTE) + MEBIBYTE // 4
        if record_bytes < body_bytes + DEAD_LETTER_BYTES:
            raise ValueError(
                f"{record_bytes} bytes are too few for bodies of BRIDGE_MAX_BODY_BYTES ({body_bytes}): a body that"
                f" cannot become an event is kept as it came, in a record of up to {body_bytes + DEAD_LETTER_BYTES}"
                " bytes. Raise this one, or lower the other"
            )
        return record_bytes

    @field_validator("decision_urls")
    @classmethod
    def _check_decision_urls(cls, urls: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for pattern, secret in urls.items():
            check_url(pattern, secret.get_secret_value())
            if not names.decidable_commands(pattern):
                raise ValueError(why_never(pattern))
        return urls

    @field_validator("schema_base")
    @classmethod
    def _check_schema_base(cls, base: str) -> str:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[!#$%&'()*+,./0-9:;=?@A-Z_a-z~\[\]-]*[/:#=]", base):
            raise ValueError(
                f"{base!r} is no beginning of a URI: write a scheme, and end with what stands before a name,"
                " as in https://example.org/schemas/"
            )
        return base

    @field_validator("drop_fields")
    @classmethod
    def _check_drop_fields(cls, names: str) -> str:
        for name in _names_in(names):
            if not re.fullmatch(r"[A-Za-z0-9_]+", name):
                raise ValueError(
                    f"{name!r} is no name of a field: write the platform's names with commas between, without quotes,"
                    " brackets and paths, as in MsgBody,CloudCustomData"
                )
        return names

    @model_validator(mode="after")
    def _check_topics_differ(self) -> Self:
        if self.topic == self.dlq_topic:
            raise ValueError(
                f"BRIDGE_TOPIC and BRIDGE_DLQ_TOPIC are both {self.topic}: dead letters are no events, and need a topic"
                " of their own"
            )
        return self

    @model_validator(mode="after")
    def _check_deadlines(self) -> Self:
        if self.decision_urls and self.decision_deadline_ms >= self.reply_deadline_ms:
            raise ValueError(
                f"BRIDGE_DECISION_DEADLINE_MS ({self.decision_deadline_ms}) must be less than BRIDGE_REPLY_DEADLINE_MS"
                f" ({self.reply_deadline_ms}): an event is made durable after the decision, before the reply"
            )
        return self

    @model_validator(mode="after")
    def _check_bodies(self) -> Self:
        if self.bodies_max_bytes < 2 * self.max_body_bytes:
            raise ValueError(
                f"BRIDGE_BODIES_MAX_BYTES ({self.bodies_max_bytes}) must be at least twice BRIDGE_MAX_BODY_BYTES"
                f" ({self.max_body_bytes}): half of it is for bodies that are not whole yet"
            )
        return self

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if self.asks_for_networks and not self.im_apps:
            raise ValueError(
                "BRIDGE_ALLOWED_NETWORKS is auto, and BRIDGE_IM_APPS is not set: the platform names its networks to an"
                f" administrator of an app alone. Set it. {meaning_of(type(self), 'im_apps')}"
            )
        return self

    def remarks(self) -> Iterator[str]:
        """What is set and may not do what is meant."""
        yield from super().remarks()
        yield from self._remarks_on_tokens()
        yield from self._remarks_on_networks()
        for pattern, other in never_asked(self.decision_urls):
            yield (
                f"BRIDGE_DECISION_URLS: {pattern} has no effect: {other} decides what it matches."
                " Of two patterns put the narrower one first"
            )
        for name in _names_in(self.drop_fields):
            if not names.is_field(name):
                nearest = names.nearest_field(name)
                meant = f"is {nearest} meant?" if nearest else "it is dropped where it comes nevertheless."
                yield f"BRIDGE_DROP_FIELDS: {name} is a field of no documented callback; {meant}"

    def _remarks_on_tokens(self) -> Iterator[str]:
        for app, tokens in self.apps.items():
            if told := too_many_tokens(tokens):
                yield f"BRIDGE_APPS: app {app} has {told}"
            if len(set(tokens)) < len(tokens):
                yield f"BRIDGE_APPS: app {app} has the same token more than once: was another one meant?"

    def _remarks_on_networks(self) -> Iterator[str]:
        for network in self.static_networks:
            if network.prefixlen == 0:
                yield f"BRIDGE_ALLOWED_NETWORKS has {network}, so every IPv{network.version} address may post"
        if not self.asks_for_networks:
            for name in sorted(self.model_fields_set & _OF_AUTO):
                yield f"BRIDGE_{name.upper()} has no effect while BRIDGE_ALLOWED_NETWORKS is not auto"
        elif self.apps:
            for app in sorted(self.im_apps.keys() - self.apps.keys()):
                yield f"BRIDGE_IM_APPS: app {app} is none of BRIDGE_APPS; the platform is asked in its name, too"

    @property
    def asks_for_networks(self) -> bool:
        """Whether the platform is asked which networks may post."""
        return AUTO in self.allowed_networks

    @property
    def static_networks(self) -> list[IPNetwork]:
        """The networks that may post whatever the platform says."""
        return [network for network in self.allowed_networks if not isinstance(network, str)]

    @property
    def topics(self) -> list[Topic]:
        """The topics of the ingress as it creates them."""
        return [
            self._topic(self.topic, self.topic_retention_hours),
            self._topic(self.dlq_topic, self.dlq_retention_hours),
        ]

    def _topic(self, name: str, retention_hours: int) -> Topic:
        return Topic(
            name,
            self.topic_partitions,
            self.topic_replication,
            {"retention.ms": str(retention_ms(retention_hours)), "max.message.bytes": str(self.max_record_bytes)},
        )


def _names_in(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


_OF_AUTO = {"allowed_networks_region", "allowed_networks_interval_s", "allowed_networks_keep_s", "im_apps"}
"""Settings that only an allow-list needs which the platform makes."""
_APPS_MEANING = BridgeSettings.model_fields["apps"].description


class InspectionSettings(BridgeSettings):
    """Settings of commands that look at things and accept no callback: `apps` may be absent, and is empty then."""

    apps: dict[str, list[SecretStr]] = Field({}, validate_default=False, description=_APPS_MEANING)


class DeveloperSettings(BridgeSettings):
    """Settings of commands with which people try things out: `apps` may be absent, and is that of `bridge dev` then."""

    apps: dict[str, list[SecretStr]] = Field({DEV_APP: [SecretStr(DEV_TOKEN)]}, description=_APPS_MEANING)

    @property
    def are_apps_set(self) -> bool:
        """Whether BRIDGE_APPS is set."""
        return "apps" in self.model_fields_set
