"""Settings from files: `<NAME>_FILE` is the path of a file that holds `<NAME>`, as containers mount secrets."""

from __future__ import annotations

import os
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsError

from common.env_file import ENV_FILE


class SecretFiles(PydanticBaseSettingsSource):
    """A source of settings; `settings_cls` says which there are."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self._given = {**dotenv_values(ENV_FILE), **os.environ}
        self._dispensable: frozenset[str] = getattr(settings_cls, "dispensable", frozenset())

    def files(self) -> dict[str, Path]:
        """The file of each field that has one."""
        named = {name: self._given.get(f"{self._variable(name)}_FILE") for name in self.settings_cls.model_fields}
        return {name: Path(path) for name, path in named.items() if path}

    def missing(self) -> dict[str, Path]:
        """The files that are not there, of fields that can be dispensed with."""
        return {name: path for name, path in self.files().items() if name in self._dispensable and _is_missing(path)}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """What the file of a field holds (None where none is named), the field's name, and whether it is JSON.

        Raises:
            SettingsError: both the setting and its file are given, or the file cannot be read.
        """
        path = self.files().get(field_name)
        if path is None:
            return None, field_name, False
        variable = self._variable(field_name)
        if self._given.get(variable):
            raise SettingsError(f"{variable} and {variable}_FILE are both set: remove one, or leave it empty")
        value = self._read(f"{variable}_FILE names {path}, which", path)
        return value, field_name, self.field_is_complex(field)

    def __call__(self) -> dict[str, Any]:
        """The value of every setting that comes from a file, by the name of its field. Raises SettingsError."""
        found: dict[str, Any] = {}
        for name, path in self.files().items():
            if name in self._dispensable and _is_missing(path):
                continue
            field = self.settings_cls.model_fields[name]
            value, key, is_complex = self.get_field_value(field, name)
            try:
                found[key] = self.prepare_field_value(name, field, value, is_complex)
            except JSONDecodeError as error:
                where = f"{error.msg} at character {error.pos + 1}"
                raise SettingsError(
                    f"{self._variable(name)}_FILE names {path}, which holds no JSON ({where})"
                ) from None
        return found

    @staticmethod
    def _read(which: str, path: Path) -> str:
        try:
            value = path.read_text(encoding="utf-8-sig").strip()
        except OSError as error:
            raise SettingsError(f"{which} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise SettingsError(f"{which} is no text in UTF-8") from None
        if not value:
            raise SettingsError(f"{which} is empty")
        return value

    def _variable(self, field_name: str) -> str:
        return variable_name(self.settings_cls, field_name)


def variable_name(settings_class: type[BaseSettings], field_name: str) -> str:
    """Environment variable of a field: `variable_name(BridgeSettings, "port")` is `BRIDGE_PORT`."""
    return f"{settings_class.model_config.get('env_prefix', '')}{field_name}".upper()


def _is_missing(path: Path) -> bool:
    """Whether there is none, as far as we may know: of a folder that we may not read, who reads the file tells."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False
