"""Where settings come from, and how they are read anew while we run."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import PrivateAttr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from common import logs
from common.env_file import ENV_FILE
from common.renewed import FileVersions, versions_of
from common.secret_files import SecretFiles, variable_name
from common.settings.problems import problems
from common.unique_names import refuse_repeated_names

log = logging.getLogger(__name__)

SETTLED_AFTER_S = 0.3
"""A `.env` that was changed less long ago may not be written to its end: half of it would be other settings."""


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
    has_env_file: bool = False
    """Whether there was a `.env`, without which all would be otherwise."""
    problem: str = ""
    """Why what was read last is not used."""


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
    renewed: ClassVar[frozenset[str]] = frozenset()
    """Fields that are taken anew from `.env`, too, when that changes while we run."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, env_ignore_empty=True, extra="ignore", frozen=True)

    _origin: _Origin = PrivateAttr(default_factory=_Origin)

    def __init__(self, **arguments: Any) -> None:
        files = SecretFiles(type(self)).files()
        read = versions_of(self._watched(files))
        super().__init__(**arguments)
        self._origin = _Origin(arguments, files, read, has_env_file=bool(self.renewed) and ENV_FILE.exists())

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

    @property
    def refused(self) -> str:
        """Why what a file holds now is not used, for people; empty: it is."""
        return self._origin.problem

    def latest(self) -> Self:
        """These settings, with what the files of `<NAME>_FILE` hold now, and of `.env` the fields in `renewed`.

        All else is as it was at the start. A file that cannot be read, or holds what is wrong, is told in the log, and
        what was read before stays.
        """
        origin = self._origin
        watched = self._watched(origin.files)
        now = versions_of(watched) if watched else ()
        if now != origin.read and not _is_being_written(watched):
            origin.read = now
            origin.latest = self._read_anew(origin.latest or self)
        return origin.latest or self

    @classmethod
    def _watched(cls, files: Mapping[str, Path]) -> list[Path]:
        return [*files.values(), *([ENV_FILE] if cls.renewed else [])]

    def _read_anew(self, known: Self) -> Self:
        try:
            if self._origin.has_env_file and not ENV_FILE.exists():
                raise FileNotFoundError(f"{ENV_FILE.absolute()} is gone")
            fresh = type(self)(**self._origin.arguments)
        except (ValidationError, SettingsError) as error:
            found = problems(type(self), error)
            for problem in found:
                log.error(
                    "a file of a setting has changed and is not used, what it held before is: %s",
                    problem,
                    extra=logs.fields("setting_refused", reason=str(problem)),
                )
            self._origin.problem = "; ".join(found)
            return known
        except (OSError, ValueError) as error:  # of another source than the files, such as .env
            log.error(
                "the files of settings cannot be read anew, what they held before is used: %s",
                error,
                extra=logs.fields("setting_refused", reason=str(error)),
            )
            self._origin.problem = str(error)
            return known
        self._origin.problem = ""
        return self._with(fresh, known)

    def _with(self, fresh: Self, known: Self) -> Self:
        """What is known, and of what was read now that which is taken while we run."""
        taken = self._origin.files.keys() | self.renewed
        fields = sorted(type(self).model_fields)
        different = [name for name in fields if getattr(fresh, name) != getattr(known, name)]
        for name in different:
            variable = variable_name(type(self), name)
            if name in self._origin.files:
                log.info(
                    "%s_FILE has changed and was read anew",
                    variable,
                    extra=logs.fields("setting_renewed", setting=variable),
                )
            elif name in taken:
                log.info(
                    "%s has changed in %s and was read anew",
                    variable,
                    ENV_FILE,
                    extra=logs.fields("setting_renewed", setting=variable),
                )
            elif self.renewed:
                log.warning(
                    "%s has changed in %s, and takes effect with the next reload or start",
                    variable,
                    ENV_FILE,
                    extra=logs.fields("setting_needs_reload", setting=variable),
                )
        changed = {name: getattr(fresh, name) for name in different if name in taken}
        if not changed:
            return known
        renewed = known.model_copy(update=changed)
        told = set(known.remarks())
        for remark in renewed.remarks():
            if remark not in told:
                log.warning("%s", remark, extra=logs.fields("setting_remark"))
        return renewed


def _is_being_written(files: Iterable[Path]) -> bool:
    try:
        return ENV_FILE in files and abs(time.time() - ENV_FILE.stat().st_mtime) < SETTLED_AFTER_S
    except OSError:
        return False
