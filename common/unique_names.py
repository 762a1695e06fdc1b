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

            def unique(pairs: list[tuple[str, Any]]) -> None:
                (name, count), *_ = Counter(name for name, _ in pairs).most_common(1) or [("", 0)]
                if count > 1:
                    setting = f"{variable}{field_name}".upper()
                    raise SettingsError(f"{setting} names {name} {count} times: only one of them would count")

            json.loads(value, object_pairs_hook=unique)
        return decoded

    source.decode_complex_value = decode_once  # type: ignore[method-assign]
