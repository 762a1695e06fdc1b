"""The command `consumers`."""
# ruff: noqa: PLC0415 - a signal while these are imported shows no traceback

from __future__ import annotations

from common.interrupts import end_quietly_when_signalled


def main() -> None:
    """Entry point of the command; ends the process."""
    end_quietly_when_signalled()
    from common.program import run_program
    from consumers import commands

    run_program("consumers", commands.SUMMARY, commands.COMMANDS)


if __name__ == "__main__":
    main()
