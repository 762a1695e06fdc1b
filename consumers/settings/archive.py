"""The platform's archive of messages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from common.settings import SettingsGroup

_HOST = re.compile(r"(?:\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


def _check_host(name: str) -> str:
    if not _HOST.fullmatch(name := name.strip().lower().rstrip(".")):
        raise ValueError(
            f"{name[:60]!r} is no name of a host: write it without scheme and port, or *.example.com for all in it"
        )
    return name


class ArchiveSettings(SettingsGroup):
    """How the files of an hour are got, in the name of the apps of CONSUMERS_IM_APPS."""

    heading: ClassVar[str] = "The platform's archive of messages"
    read_more: ClassVar[str] = "backfill.md"

    archive_dir: Path = Field(
        Path("./archive"),
        description="Work folder for the files of the archive: those of the hour that is read, as large as they come.",
    )
    archive_calls_per_s: float = Field(
        5.0,
        gt=0,
        le=10,
        description="Most calls per second and app of this process. The platform takes 10, whoever calls.",
    )
    archive_timeout_s: float = Field(
        30.0,
        gt=0,
        le=600,
        description="""How long the platform may take to answer a call or a download, and each 256 KiB of a file may
        take to come.""",
    )
    archive_attempts: int = Field(
        8,
        ge=1,
        le=100,
        description="""How often in a row a call, or a download that comes no further, may fail before the hour is given
        up. Between two is a wait that doubles, from half a second to half a minute.""",
    )
    archive_empty_after_hours: float = Field(
        6.0,
        ge=1,
        le=168,
        description="""So long after its end an hour without a file is taken to be one without messages; before that
        its file is taken not to be made yet. The platform gives both the same answer.""",
    )
    archive_private_hosts: list[Annotated[str, AfterValidator(_check_host)]] = Field(
        [],
        description="""JSON list of hosts whose files are taken though their address is not public, e.g.
        `["*.myqcloud.com"]` within a private network of the cloud. The host of an app's REST API need not be named.""",
    )
