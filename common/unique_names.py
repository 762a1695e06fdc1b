"""JSON among the settings in which a name occurs twice: the first value would be lost without a word."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource, SettingsError


def refuse_repeated_names(source: PydanticBaseSettingsSource, variable: str) -> None:
    """Have a source of settings refuse objects with two values for one name.

    Args:
        source: reads settings.
        variable: what the names of its variables begin with, for the message.
    """
    decode = source.decode_complex_value

    def decode_once(field_name: str, field: FieldInfo, value: Any) -> Any:
        decoded = decode(field_name, field, value)
        if decoded is not value:
            try:
                json.loads(value, object_pairs_hook=unique_pairs)
            except RepeatedNameError as error:
                raise SettingsError(f"{variable}{field_name}".upper() + f" {error}") from None
        return decoded

    source.decode_complex_value = decode_once  # type: ignore[method-assign]


class RepeatedNameError(ValueError):
    """An object of JSON has two values for one name. The message, which goes on from a setting's name, says which."""


def unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object with these members, for `json.loads`.

    Raises:
        RepeatedNameError: a name occurs twice.
    """
    (name, count), *_ = Counter(name for name, _ in pairs).most_common(1) or [("", 0)]
    if count > 1:
        raise RepeatedNameError(f"names {name} {count} times: only one of them would count")
    return dict(pairs)
