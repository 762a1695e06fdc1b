"""Who may post: the tokens of the apps, the networks of the platform, our own proxies."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode

from common.networks import IPNetwork, Network, read_network
from common.rest.app import IM_APPS_FORM, ImApps
from common.settings import SettingsGroup, meaning_of
from common.text import plural

MANY_TOKENS = 4
"""One product of the platform has one token, or two while one replaces the other."""
AUTO = "auto"


def _read_networks(given: Any) -> Any:
    if not isinstance(given, str):
        return given
    text = given.strip()
    if text.lower() == AUTO:
        return [AUTO]
    try:
        read = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError(
            'it is neither `auto` nor a JSON list of networks: write ["203.0.113.0/24"], or ["auto","203.0.113.0/24"]'
        ) from None
    return [read] if isinstance(read, str) else read


def _read_network_or_auto(given: Any) -> Any:
    return AUTO if isinstance(given, str) and given.strip().lower() == AUTO else read_network(given)


AllowedNetworks = Annotated[
    list[Annotated[IPNetwork | Literal["auto"], BeforeValidator(_read_network_or_auto)]],
    NoDecode,
    BeforeValidator(_read_networks),
]
"""A setting: networks, and `auto` for those that the platform names."""

_OF_AUTO = {"allowed_networks_region", "allowed_networks_interval_s", "allowed_networks_keep_s", "im_apps"}
"""Settings that only an allow-list needs which the platform makes."""


class AccessSettings(SettingsGroup):
    """What makes a callback authentic, and where it may come from."""

    heading: ClassVar[str] = "Who may post"
    read_more: ClassVar[str] = "security.md"

    apps: dict[str, list[SecretStr]] = Field(
        description="""JSON: each app's SdkAppid with its callback tokens (one of each product that has its own, two
        while one replaces the other, none where authentication is off), e.g. `{"1400000000":["token-a"]}`."""
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

    @field_validator("apps")
    @classmethod
    def _check_apps(cls, apps: dict[str, list[SecretStr]]) -> dict[str, list[SecretStr]]:
        if not apps:
            raise ValueError('no app is named. Give at least one, as in {"1400000000":["token-a"]}')
        for app_id, tokens in apps.items():
            if not (app_id.isascii() and app_id.isdigit()):
                raise ValueError(f"{app_id!r} is no SdkAppid: it must be decimal digits, in quotes")
            for token in (token.get_secret_value() for token in tokens):
                if not token.strip():
                    raise ValueError(f"app {app_id} has an empty token: leave the list empty if authentication is off")
                if token != token.strip() or not token.isprintable():
                    raise ValueError(
                        f"app {app_id} has a token with spaces at an end, or with characters that cannot be seen: no"
                        " signature would fit. Copy it anew from the console"
                    )
        return apps

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


def too_many_tokens(tokens: Collection[object]) -> str:
    """What to say of so many tokens of an app; empty: nothing."""
    count = len(set(tokens))
    if count <= MANY_TOKENS:
        return ""
    return (
        f"{plural(count, 'token')}, and each of them lets in whoever knows it: remove those that no product"
        " of the platform (IM, Live, Room, Mic, Call) signs with any more"
    )
