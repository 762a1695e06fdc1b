"""Whether a callback takes more instructions than the repository says it does: see instructions.json."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.instructions import Instructions
from bench.machine import interpreter
from bench.rows import BRIDGE, FLOOR

STORED = Path(__file__).parent / "instructions.json"
TOLERANCE = 0.05
"""So much more fails."""
PROGRESS = 0.02
"""So much less asks for an update, or what was gained could be lost unseen."""
PROFILE_LINES = 40


class Stored(msgspec.Struct):
    """What the repository says."""

    interpreter: str
    """The Python that it was counted on. Another one has other numbers, so there only the ratio to the floor counts."""
    floor: dict[int, int]
    """Instructions per callback, by the number that come at a time."""
    bridge: dict[int, int]


class Comparison(NamedTuple):
    """How one number compares."""

    text: str
    change: float
    """0.05 is five per cent more than stored."""

    @property
    def has_failed(self) -> bool:
        """Whether it is too much."""
        return self.change > TOLERANCE

    @property
    def is_progress(self) -> bool:
        """Whether the file is to be updated."""
        return self.change < -PROGRESS


def counted(found: dict[str, dict[int, Instructions]]) -> Stored:
    """What was counted here, as it is stored."""
    floor, bridge = ({n: round(one.per_callback) for n, one in found[name].items()} for name in (FLOOR, BRIDGE))
    return Stored(interpreter(), floor, bridge)


def load(path: Path = STORED) -> Stored:
    """What the repository says."""
    return msgspec.json.decode(path.read_bytes(), type=Stored)


def store(found: Stored, path: Path = STORED) -> None:
    """Make this what the repository says."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")


def compare(found: Stored, stored: Stored) -> list[Comparison]:
    """One comparison for each number of callbacks at a time."""
    return [_compare(found, stored, number) for number in stored.bridge]


def _compare(found: Stored, stored: Stored, number: int) -> Comparison:
    mine, ratio = found.bridge[number], found.bridge[number] / found.floor[number]
    if found.interpreter == stored.interpreter:
        change = mine / stored.bridge[number] - 1
        limit = f"{stored.bridge[number]:,.0f} in {STORED.name}"
    else:
        usual = stored.bridge[number] / stored.floor[number]
        change = ratio / usual - 1
        limit = f"a ratio of {usual:.3f} in {STORED.name}, which is of another Python ({stored.interpreter})"
    text = (
        f"{number} at a time: {mine:,.0f} instructions per callback, {ratio:.3f} x the floor's; {limit}: {change:+.1%}"
    )
    return Comparison(text, change)


def profile(one: Instructions) -> str:
    """The functions that take most, for people."""
    command = ["callgrind_annotate", "--auto=no", "--threshold=90", str(one.profile)]
    if shutil.which(command[0]) is None:
        return f"{command[0]} cannot be found, so there is no profile"
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    begins = next((number for number, line in enumerate(lines) if "file:function" in line), 0)
    return "\n".join(lines[begins : begins + PROFILE_LINES])
