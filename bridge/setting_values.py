"""What the settings of the ingress may hold, and what to say of what they may not."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from bridge.events import names
from common.networks import IPNetwork, read_network
from common.text import plural

MANY_TOKENS = 4
"""One product of the platform has one token, or two while one replaces the other."""
AUTO = "auto"


def check_apps(apps: Mapping[str, Sequence[SecretStr]]) -> None:
    """See that BRIDGE_APPS names apps and tokens that a callback can be signed with.

    Raises:
        ValueError: it does not.
    """
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


def too_many_tokens(tokens: Collection[object]) -> str:
    """What to say of so many tokens of an app; empty: nothing."""
    count = len(set(tokens))
    if count <= MANY_TOKENS:
        return ""
    return (
        f"{plural(count, 'token')}, and each of them lets in whoever knows it: remove those that no product"
        " of the platform (IM, Live, Room, Mic, Call) signs with any more"
    )


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


def check_url(pattern: str, text: str) -> None:
    """See that an endpoint can be asked. What is wrong is told without the URL, which may hold secrets.

    Raises:
        ValueError: it cannot.
    """
    wrong = f"what stands for {pattern} is no http:// or https:// URL with a host"
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"{wrong}, and perhaps a port: its host or port cannot be read") from error
    if url.scheme not in {"http", "https"} or not url.hostname or port == 0:
        raise ValueError(f"{wrong}, as in http://moderation:8000/decide")
    try:
        url.hostname.encode("idna")
    except UnicodeError as error:
        raise ValueError(
            f"{wrong} that there can be: its name has an empty part, or a part that is too long"
        ) from error
    if re.search(r"[\x00-\x20\x7f\\]", text):
        raise ValueError(f"{wrong}: it has spaces, control characters or backslashes")
    if "#" in text:
        raise ValueError(f"what stands for {pattern} has a `#`, and what is behind it is never sent: write %23")


def never_asked(patterns: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names and patterns of BRIDGE_DECISION_URLS all of whose callbacks others decide, and one of these others."""
    taken: dict[str, str] = {}
    # In the order in which they are looked at: names before patterns.
    for pattern in sorted(patterns, key=names.is_pattern):
        found = names.decidable_commands(pattern)
        free = [command for command in found if command not in taken]
        if not free:
            yield pattern, taken[found[0]]
        taken.update(dict.fromkeys(free, pattern))


def why_never(pattern: str) -> str:
    """Why a name or pattern of BRIDGE_DECISION_URLS matches no callback to decide, and what may be meant."""
    if names.commands(pattern):
        return f"{pattern} is no callback to decide: the platform waits for no decision on it"
    nearest = names.nearest_decidable_command(pattern)
    meant = f"is {nearest} meant?" if nearest else f"there are {', '.join(names.decidable_commands('*'))}."
    return (
        f"{pattern} is no callback to decide that this version knows: {meant} One that is newer is matched by a pattern"
        " that matches known ones too, as *.CallbackBefore*"
    )
