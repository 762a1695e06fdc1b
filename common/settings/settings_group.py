"""Where settings come from, and how they are read anew while we run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from common.env_file import ENV_FILE
from common.renewed import FileVersions, versions_of
from common.secret_files import SecretFiles, variable_name
from common.settings.problems import problems
from common.unique_names import refuse_repeated_names

log = logging.getLogger(__name__)


@dataclass
class _Origin:
    """Where settings came from, for reading them anew."""

    arguments: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    """Field → the file of its `<NAME>_FILE`."""
    read: FileVersions = ()
    """The files as they were when they were read last."""
    latest: Any = None
    """The settings from what was read last; None: those themselves."""


class SettingsGroup(BaseSettings):
    """Base of the settings of a concern, and of a process, which is composed of such groups.

    Strongest source first: arguments, environment, `<NAME>_FILE`, `.env`, default. A setting that is given both as a
    value and as a file is an error, whatever their order: one of them is a mistake. What comes from a file may be
    replaced while we run: `latest`.
    """

    heading: ClassVar[str]
    """Of the group, in the reference; the first line of the docstring says what it is about."""
    read_more: ClassVar[str] = ""
    """A page below docs/ that says more of the group, perhaps with an anchor."""
    longest_s: ClassVar[int | None] = None
    """No time among the settings is longer, in seconds: what is, is a slip, and clocks overflow. None: no limit."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True)

    _origin: _Origin = PrivateAttr(default_factory=_Origin)

    def __init__(self, **arguments: Any) -> None:
        files = SecretFiles(type(self)).files()
        read = versions_of(files.values())
        super().__init__(**arguments)
        self._origin = _Origin(arguments, files, read)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put `<NAME>_FILE` between the environment and `.env`."""
        sources = init_settings, env_settings, SecretFiles(settings_cls), dotenv_settings, file_secret_settings
        for source in sources:
            refuse_repeated_names(source, settings_cls.model_config.get("env_prefix", ""))
        return sources

    def remarks(self) -> Iterator[str]:
        """What is set and has no effect, or may not do what is meant: one line each, for people."""
        yield from ()

    def latest(self) -> Self:
        """These settings, with what the files of `<NAME>_FILE` hold now; all else is as it was at the start.

        A file that cannot be read, or holds what is wrong, is told in the log, and what was read before stays.
        """
        origin = self._origin
        now = versions_of(origin.files.values()) if origin.files else ()
        if now != origin.read:
            origin.read = now
            origin.latest = self._read_anew(origin.latest or self)
        return origin.latest or self

    def _read_anew(self, known: Self) -> Self:
        try:
            fresh = type(self)(**self._origin.arguments)
        except (ValidationError, SettingsError) as error:
            for problem in problems(type(self), error):
                log.error("a file of a setting has changed and is not used, what it held before is: %s", problem)
            return known
        except (OSError, ValueError) as error:  # of another source than the files, such as .env
            log.error("the files of settings cannot be read anew, what they held before is used: %s", error)
            return known
        of_files = {name: getattr(fresh, name) for name in self._origin.files}
        changed = {name: value for name, value in of_files.items() if value != getattr(known, name)}
        for name in changed:
            log.info("%s_FILE has changed and was read anew", variable_name(type(self), name))
        if not changed:
            return known
        renewed = known.model_copy(update=changed)
        told = set(known.remarks())
        for remark in renewed.remarks():
            if remark not in told:
                log.warning("%s", remark)
        return renewed
