"""What an interrupted run had done, so that the next one with the same arguments goes on from there."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from consumers.backfill.hour_count import HourCount

FILE_NAME = "backfill.json"
KEPT_FOR_S = 24 * 3600
"""What was found longer ago is looked up anew."""


class RunState(msgspec.Struct):
    """The hours that a run has settled."""

    run: str
    """Which run: its arguments."""
    time_s: float
    hours: list[HourCount]


def load_state(folder: Path, run: str) -> list[HourCount]:
    """The hours that an interrupted run of these arguments has settled; none where there was none of late."""
    try:
        state = msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=RunState)
    except (OSError, msgspec.DecodeError):
        return []
    return state.hours if state.run == run and 0 <= time.time() - state.time_s < KEPT_FOR_S else []


def save_state(folder: Path, run: str, hours: list[HourCount]) -> None:
    """Note the hours that are settled.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(RunState(run, time.time(), hours)))
    new.replace(path)


def drop_state(folder: Path) -> None:
    """Forget them: the run has ended."""
    (folder / FILE_NAME).unlink(missing_ok=True)
