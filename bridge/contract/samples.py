"""The documented bodies of callbacks, as files in `bridge/contract/samples`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple


class Sample(NamedTuple):
    """A callback that the platform's documentation shows."""

    command: str
    """E.g. `C2C.CallbackAfterMsgWithDraw`."""
    body: bytes


RECALLED = Sample(
    "C2C.CallbackAfterMsgWithDraw",
    b"""{"CallbackCommand":"C2C.CallbackAfterMsgWithDraw","From_Account":"jared","To_Account":"Jonh",\
"MsgKey":"48374_2837546_1557481126","UnreadMsgNum":7,"EventTime":1557481126123}""",
)
"""README's example of a recalled message, with which `bridge dev` and `bridge demo` show the whole path."""


@cache
def samples() -> Mapping[str, Sample]:
    """All of them by name, in alphabetical order. `C2C.CallbackAfterMsgWithDraw.v1` is the first of its command."""
    found = {}
    for path in files("bridge.contract").joinpath("samples").iterdir():
        if path.name.endswith(".json"):
            name = path.name.removesuffix(".json")
            found[name] = Sample(".".join(name.split(".")[:2]), path.read_bytes().strip())
    return dict(sorted(found.items()))


def find_sample(name: str) -> Sample | None:
    """The sample of that name, or the first one of a command of that name; upper and lower case are equal."""
    for sample_name, sample in samples().items():
        if name.lower() in (sample_name.lower(), sample.command.lower()):
            return sample
    return None
