"""Why an hour of the archive cannot be had."""

from __future__ import annotations

from typing import Literal

ArchiveErrorKind = Literal["not_made", "expired", "refused", "failing", "corrupt", "disk"]


class ArchiveError(Exception):
    """An hour cannot be had. The message says why and what to do, and has no secret.

    | kind | what it says |
    | --- | --- |
    | `not_made` | the hour is not over, or the platform has not made its files yet: ask again later |
    | `expired` | it is older than what the platform keeps, seven days: it will never be had |
    | `refused` | the app may not do this, or its credentials are wrong: somebody must change something |
    | `failing` | trouble over there or on the way, also after several attempts: later it may work |
    | `corrupt` | what was downloaded is not what was promised, also after several attempts |
    | `disk` | the work folder cannot be written |
    """

    def __init__(self, kind: ArchiveErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
