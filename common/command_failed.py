"""What a command that cannot do what it was asked for ends with."""

from __future__ import annotations


class CommandFailedError(Exception):
    """It came to nothing; the message says why, and what to do.

    Args:
        message: for people.
        exit_status: of the command: 1 where what it depends on failed, 2 where it is used or set up wrongly.
    """

    def __init__(self, message: str, *, exit_status: int = 1) -> None:
        super().__init__(message)
        self.exit_status = exit_status
