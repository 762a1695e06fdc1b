"""Every setting, for people."""

from __future__ import annotations

from collections.abc import Iterator

from common.secret_files import variable_name
from common.settings.problems import meaning_of
from common.settings.settings_group import SettingsGroup


def reference(settings_class: type[SettingsGroup]) -> Iterator[tuple[str, str, str]]:
    """Every setting as (environment variable, default, meaning), concern by concern as they are composed."""
    for name in _names_in_order(settings_class):
        found = settings_class.model_fields[name]
        default = "required" if found.is_required() else "" if found.default is None else str(found.default)
        yield variable_name(settings_class, name), default, meaning_of(settings_class, name)


def _names_in_order(settings_class: type[SettingsGroup]) -> Iterator[str]:
    for declaring in settings_class.__mro__:
        yield from (name for name in vars(declaring).get("__annotations__", {}) if name in settings_class.model_fields)
