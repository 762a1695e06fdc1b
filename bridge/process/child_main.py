"""A process that the supervisor started: `python -m bridge.process.child_main LISTENER PARENT ADMIN_SOCKET NUMBER`."""
# ruff: noqa: PLC0415 - a signal in the first seconds ends it in silence

from __future__ import annotations

import sys

from common import streams
from common.interrupts import end_quietly_when_signalled


def main() -> None:
    """Serve callbacks on an inherited socket."""
    end_quietly_when_signalled()
    streams.protect()
    from bridge.process.child import run

    listener_fd, parent_fd, admin, number = sys.argv[1:]
    run(int(listener_fd), int(parent_fd), admin, number)


if __name__ == "__main__":
    main()
