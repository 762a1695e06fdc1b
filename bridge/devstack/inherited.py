"""Which settings of ours `bridge dev` passes on to its processes: all that are given but those that it needs itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from dotenv import dotenv_values

from common.env_file import ENV_FILE

OWN_INGRESS = (
    "HOST", "PORT", "ADMIN_HOST", "ADMIN_PORT", "TOPIC", "DLQ_TOPIC", "JOURNAL_DIR", "LOG_FORMAT", "KAFKA_*",
    # Lines that are pasted speak plain HTTP: a certificate is mostly for another name, and no front is here.
    "TLS_*", "PROXY_PROTOCOL",
)  # fmt: skip
OWN_WORKER = ("REDIS_URL", "ADMIN_HOST", "ADMIN_PORT", "TOPIC", "DLQ_TOPIC", "BADGES_TOPIC", "LOG_FORMAT", "KAFKA_*")
_FROM_FILE = "_FILE"
_ARE_ARGUMENTS = {"BRIDGE_APPS", "BRIDGE_HOST", "BRIDGE_PORT"}
"""What the stack is given in another way."""


class InheritedSettings(NamedTuple):
    """Environment variables for the processes of the stack."""

    ingress: dict[str, str]
    worker: dict[str, str]
    overridden: list[str]
    """Names of those that are given and have no effect."""


NOTHING_INHERITED = InheritedSettings({}, {}, [])


def inherited_settings() -> InheritedSettings:
    """Those of the environment and of the file `.env`, whose processes run in another folder."""
    given = dict(_given())
    own = {
        name for name in given if _is_one_of(name, "BRIDGE_", OWN_INGRESS) or _is_one_of(name, "CONSUMERS_", OWN_WORKER)
    }
    arguments = {name for name in given if name.removesuffix(_FROM_FILE) in _ARE_ARGUMENTS}
    passed = {name: _elsewhere(name, value) for name, value in given.items() if name not in own | arguments}
    return InheritedSettings(_beginning(passed, "BRIDGE_"), _beginning(passed, "CONSUMERS_"), sorted(own - arguments))


def _given() -> Iterator[tuple[str, str]]:
    """What is given and not empty; the environment comes last, since it is stronger."""
    for name, value in (*dotenv_values(ENV_FILE).items(), *os.environ.items()):
        if value:
            yield name.upper(), value


def _is_one_of(variable: str, prefix: str, names: tuple[str, ...]) -> bool:
    if not variable.startswith(prefix):
        return False
    name = variable.removeprefix(prefix).removesuffix(_FROM_FILE)
    return any(name.startswith(own[:-1]) if own.endswith("*") else name == own for own in names)


def _elsewhere(name: str, value: str) -> str:
    return str(Path(value).absolute()) if name.endswith(_FROM_FILE) else value


def _beginning(settings: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name: value for name, value in settings.items() if name.startswith(prefix)}
