"""What a connection is about at a time."""

from __future__ import annotations

from enum import Enum, auto


class Phase(Enum):
    """What a connection is about."""

    HEAD = auto()
    """It waits for a request, or reads its head."""
    BODY = auto()
    """It reads the body of an authentic request."""
    REPLY = auto()
    """Its request is whole, and has no reply yet."""
    ENDING = auto()
    """It has its last reply."""
    CLOSED = auto()


HEAD, BODY, REPLY, ENDING, CLOSED = Phase
"""For what is done with every request: to look one up in its class takes ten times as long."""
