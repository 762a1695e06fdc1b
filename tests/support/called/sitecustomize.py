"""Imported by Python itself, before anything else of a process."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

_called: set[tuple[str, str]] = set()
_numbers = itertools.count()


def _note(frame: FrameType, event: str, argument: Any) -> None:
    if event == "call":
        _called.add((frame.f_code.co_filename, frame.f_code.co_name))
    elif event == "c_call":
        _called.add((getattr(argument, "__module__", None) or "", argument.__qualname__))


def _tell(_number: int, _frame: FrameType | None) -> None:
    told = sorted(_called.copy())
    _called.clear()
    path = f"{os.environ['TEST_CALLED_OUT']}.{next(_numbers)}"
    with open(f"{path}.new", "w") as file:  # noqa: PTH123 - pathlib would be imported in front of the program
        json.dump(told, file)
    os.rename(f"{path}.new", path)  # noqa: PTH104


if "TEST_CALLED_OUT" in os.environ:
    signal.signal(signal.SIGUSR1, _tell)
    threading.setprofile(_note)
    sys.setprofile(_note)
