"""The command `consumers`: names its commands, each of which is a module of `consumers.commands`."""

from __future__ import annotations

from typing import NoReturn

from common.program import LazyCommand, command_line, run_program

COMMANDS = {
    "run": LazyCommand("consumers.commands.run:run", "Run a worker until SIGTERM or Ctrl-C."),
    "settings": LazyCommand(
        "consumers.commands.settings:show_settings", "Print every setting, its default and its meaning."
    ),
    "badge": LazyCommand("consumers.commands.badge:app", "Look at badges, and make them anew."),
    "dlq": LazyCommand(
        "consumers.commands.dlq:app", "Look at dead letters, give them to their worker again, or mark them as done."
    ),
}


def main() -> NoReturn:
    """Entry point of the command."""
    settings = f"`{command_line('consumers')} settings`"
    run_program(f"Workers on the topic of events. Settings are environment variables: {settings} lists them.", COMMANDS)


if __name__ == "__main__":
    main()
