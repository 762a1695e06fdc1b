"""The page to look at: where it listens, who may do what, what it asks."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator

from bridge.events import names
from common.admin_address import admin_page
from common.http_url import check_http_url
from common.networks import Network
from common.settings import SettingsGroup, check_topic

SHORTEST_TOKEN = 12
LOOPBACK = ("127.0.0.0/8", "::1/128")


class ConsoleSettings(SettingsGroup):
    """What `bridge console` serves, to whom, and whom it asks."""

    heading: ClassVar[str] = "The page of `bridge console`"
    read_more: ClassVar[str] = "page.md"

    console_host: str = Field("127.0.0.1", description="Address of the page. Any but loopback needs a token.")
    console_port: int = Field(9080, ge=0, le=65535, description="Port of the page; 0: any that is free.")
    console_token: SecretStr | None = Field(
        None,
        description="""Whoever signs in with it may change things: replay and drop dead letters, post samples. Without
        it the page can only be looked at, and only from this machine.""",
    )
    console_hosts: list[str] = Field(
        [],
        description="""Names under which browsers reach the page, besides those of this machine, as
        `["console.example.com"]`; others are refused, so that no page of somebody else's can pretend to be it.""",
    )
    console_look_from: list[Network] = Field(
        list(LOOPBACK),
        validate_default=True,
        description="""Networks from which one may look without a token, under a name of this machine such as
        `127.0.0.1`, and past no proxy. For a container whose port is published on 127.0.0.1 alone: there one comes from
        an address of the container engine's.""",
    )
    console_hide: str = Field(
        "",
        description="""Fields that the page never shows, at any depth, by the platform's names, e.g.
        `MsgBody,CloudCustomData`. What cannot be read as JSON is shown by its size only then.""",
    )
    console_ingress: list[str] = Field(
        [],
        description="""Admin addresses of ingresses that the page asks, as `["http://ingress:9090"]`; every address that
        a name has is asked. Default: the processes of BRIDGE_JOURNAL_DIR, and BRIDGE_ADMIN_PORT of this machine.""",
    )
    console_workers: dict[str, list[str]] = Field(
        {"badges": []},
        description="""Workers that the page asks, by the names that `consumers run` takes, and their admin addresses,
        as `{"badges":["http://badges:9090"]}`; without one that of CONSUMERS_ADMIN_PORT on this machine.""",
    )
    console_badges_topic: str = Field(
        "im.badges", description="Topic of the badges, as CONSUMERS_BADGES_TOPIC says it to the workers."
    )
    console_send_url: str = Field(
        "",
        description="""Where the page posts samples, as `http://127.0.0.1:8080/`: for development. They are signed with
        BRIDGE_APPS, and are real callbacks to all that follows. Empty: it posts nothing.""",
    )

    @field_validator("console_token")
    @classmethod
    def _check_token(cls, token: SecretStr | None) -> SecretStr | None:
        value = "" if token is None else token.get_secret_value()
        if token is not None and len(value.strip()) < SHORTEST_TOKEN:
            raise ValueError(f"it can be guessed: take {SHORTEST_TOKEN} characters or more, as `openssl rand -hex 16`")
        if any(unicodedata.category(sign) == "Cc" for sign in value):
            # Of a Secret that was made with `echo`, say: the page would call the token wrong, whoever types it.
            raise ValueError("it has the end of a line, or another control character, which nobody can type")
        return token

    @field_validator("console_hosts")
    @classmethod
    def _check_hosts(cls, hosts: list[str]) -> list[str]:
        for host in hosts:
            if not re.fullmatch(r"[A-Za-z0-9._:\[\]-]+", host) or "//" in host:
                raise ValueError(f"{host!r} is no name of a host: write it as console.example.com")
        return [host.lower() for host in hosts]

    @field_validator("console_badges_topic")
    @classmethod
    def _check_badges_topic(cls, name: str) -> str:
        return check_topic(name)

    @field_validator("console_ingress")
    @classmethod
    def _check_ingress(cls, urls: list[str]) -> list[str]:
        for url in urls:
            admin_page(url, "/status")
        return urls

    @field_validator("console_workers")
    @classmethod
    def _check_workers(cls, workers: dict[str, list[str]]) -> dict[str, list[str]]:
        for url in (url for urls in workers.values() for url in urls):
            admin_page(url, "/readyz")
        return workers

    @field_validator("console_send_url")
    @classmethod
    def _check_send_url(cls, url: str) -> str:
        return check_http_url(url) if url else url

    @property
    def hidden_fields(self) -> list[str]:
        """The platform's names of what is never shown."""
        return [name.strip() for name in self.console_hide.split(",") if name.strip()]

    def remarks(self) -> Iterator[str]:
        """What is set and may not do what is meant."""
        yield from super().remarks()
        for name in self.hidden_fields:
            if not names.is_field(name):
                nearest = names.nearest_field(name)
                meant = f"is {nearest} meant?" if nearest else "it is hidden where it comes nevertheless."
                yield f"BRIDGE_CONSOLE_HIDE: {name} is a field of no documented callback; {meant}"
