"""Settings are read at the start of a program: what is wrong ends it, what has no effect is told."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn, TypeVar

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import SettingsError

from common.env_file import ENV_FILE, lines_without_effect
from common.nearest_name import nearest_name
from common.settings.problems import problems
from common.settings.settings_group import SettingsGroup

NEARLY = 0.7
"""How alike two names, without their prefix, must be for one to be the other misspelt, or cut short."""

OF_COMPOSE = {"BRIDGE_BIND"}
"""Variables of docker-compose.yml, which stand in the same `.env`."""

_SERVICE = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_[0-9]+_")
"""In variables that Kubernetes adds for each service of a namespace."""

AnySettings = TypeVar("AnySettings", bound=SettingsGroup)


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
        _end_wrong(problems(settings_class, error))


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


def _end_wrong(lines: Iterable[str]) -> NoReturn:
    print("\n".join(f"error: {problem}" for problem in lines), file=sys.stderr)  # noqa: T201
    raise SystemExit(2)


def _told(settings: AnySettings) -> AnySettings:
    for remark in settings.remarks():
        print(f"warning: {remark}", file=sys.stderr)  # noqa: T201
    return settings


def _without_effect(settings_class: type[SettingsGroup]) -> Iterator[str]:
    """What to say of the variables that look like settings and are none."""
    prefix = settings_class.model_config.get("env_prefix", "")
    names = {name.upper() for name in settings_class.model_fields}
    names |= {f"{name}_FILE" for name in names}
    given = {name.upper() for name in (*os.environ, *dotenv_values(ENV_FILE))}
    unknown = {name.removeprefix(prefix) for name in given - OF_COMPOSE if name.startswith(prefix)} - names
    for name in sorted(name for name in unknown if not _SERVICE.search(f"{prefix}{name}")):
        near = nearest_name(name, names, cutoff=NEARLY)
        yield f"{prefix}{name} is no setting and has no effect" + (f"; is {prefix}{near} meant?" if near else "")
