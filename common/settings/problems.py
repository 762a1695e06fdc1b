"""What to say of settings that are wrong, one line each, without a value that may be secret."""

from __future__ import annotations

import re
from json import JSONDecodeError
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from common.secret_files import variable_name


def meaning_of(settings_class: type[BaseSettings], field_name: str) -> str:
    """What a field is for, in one line."""
    return " ".join((settings_class.model_fields[field_name].description or "").split())


def problems(settings_class: type[BaseSettings], error: ValidationError | SettingsError) -> list[str]:
    """One line for each thing that is wrong."""
    if isinstance(error, ValidationError):
        return [_problem(settings_class, item) for item in error.errors()]
    return [_unreadable(settings_class, error)]


def _unreadable(settings_class: type[BaseSettings], error: SettingsError) -> str:
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


def _problem(settings_class: type[BaseSettings], item: Any) -> str:
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
    elif item["type"] in {"int_parsing", "float_parsing"}:
        default = settings_class.model_fields[name].default
        message = f"it is no number in digits alone{f', such as {default}' if isinstance(default, int | float) else ''}"
    # Of the shape of a JSON value the message of the library says little.
    return f"{variable}: {message}" + (f". {description}" if item["type"].endswith("_type") else "")
