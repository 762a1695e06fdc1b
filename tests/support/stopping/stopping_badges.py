"""A worker of badges that is stopped, as by SIGSTOP, when it is about to write badges to their topic."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

from consumers.badges import Badges
from consumers.badges.publishing import NO_TRACES, Traces
from consumers.badges.store import Badge

SWITCH = "STOP_BEFORE_PUBLISHING"
"""The variable that names a file: where that is there it is removed, and the process stopped."""


class StoppingBadges(Badges):
    """Has the name and the group of those that it works beside."""

    async def publish(self, badges: Iterable[Badge], traces: Traces = NO_TRACES) -> None:
        """Stop, if that is wanted; and write badges, whatever has happened meanwhile."""
        _stop_if_wanted()
        await super().publish(badges, traces)


def _stop_if_wanted() -> None:
    with contextlib.suppress(FileNotFoundError):
        Path(os.environ[SWITCH]).unlink()
        os.kill(os.getpid(), signal.SIGSTOP)
