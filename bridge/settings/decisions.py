"""The reply: when it leaves, and which endpoints of yours decide it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from bridge.events import names
from common.settings import SettingsGroup


class DecisionSettings(SettingsGroup):
    """Within which time the platform is answered, and by whom."""

    heading: ClassVar[str] = "Replies and decisions"
    read_more: ClassVar[str] = "decisions.md"

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

    @field_validator("decision_urls")
    @classmethod
    def _check_decision_urls(cls, urls: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for pattern, secret in urls.items():
            check_url(pattern, secret.get_secret_value())
            if not names.decidable_commands(pattern):
                raise ValueError(why_never(pattern))
        return urls

    @model_validator(mode="after")
    def _check_deadlines(self) -> Self:
        if self.decision_urls and self.decision_deadline_ms >= self.reply_deadline_ms:
            raise ValueError(
                f"BRIDGE_DECISION_DEADLINE_MS ({self.decision_deadline_ms}) must be less than BRIDGE_REPLY_DEADLINE_MS"
                f" ({self.reply_deadline_ms}): an event is made durable after the decision, before the reply"
            )
        return self

    def remarks(self) -> Iterator[str]:
        """What is set and may not do what is meant."""
        yield from super().remarks()
        for pattern, other in never_asked(self.decision_urls):
            yield (
                f"BRIDGE_DECISION_URLS: {pattern} has no effect: {other} decides what it matches."
                " Of two patterns put the narrower one first"
            )


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
