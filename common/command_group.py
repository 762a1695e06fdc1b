"""The commands of a program for typer, each of which is imported when it is used."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from common.lazy_command import LazyCommand
from common.text import printable


class _Placeholder(TyperCommand):
    """Stands for a command in the help of the program, and becomes it when it is used."""

    def __init__(self, name: str, command: LazyCommand) -> None:
        super().__init__(name, short_help=command.summary, hidden=command.is_for_programs)
        self._place = command.place

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Read the arguments by the command itself, which the context then names."""
        return load(self.name or "", self._place).make_context(info_name, args, parent=parent, **extra)


def load(name: str, place: str) -> Any:
    """The command, or the group of commands, that is there; see `LazyCommand`."""
    module, _, attribute = place.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(name)(found)
        found = app
    found.rich_markup_mode = None
    command = typer.main.get_command(found)
    for inner in getattr(command, "commands", {}).values():
        # Else a list of commands cuts it, and says half of what they do.
        inner.short_help = inner.short_help or (inner.help or "").partition("\n\n")[0].replace("\n", " ")
    return command


def run(program: str, summary: str, commands: Mapping[str, LazyCommand]) -> None:
    """Run the command that the arguments of this process name.

    Args:
        program: how it was started, for the hints that help and errors give.
        summary: what it does.
        commands: its commands by name.

    Raises:
        SystemExit: always, with its status; 2 where the arguments are wrong.
    """
    placeholders = [_Placeholder(name, command) for name, command in commands.items()]
    # Plain help: what draws the frames takes longer to import than most commands to run.
    group = TyperGroup(
        help=summary,
        commands=placeholders,
        params=_options(),
        callback=lambda **_: None,
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    _check_arguments()
    group.main(prog_name=program)


def _check_arguments() -> None:
    """End with status 2 where an argument is no text, which no command has a use for, and no message can name.

    Raises:
        SystemExit: there is such an argument.
    """
    for argument in sys.argv[1:]:
        try:
            argument.encode()
        except UnicodeEncodeError:
            print(f"Error: the argument {printable(argument)} is not UTF-8", file=sys.stderr)  # noqa: T201
            raise SystemExit(2) from None


def _options() -> list[Any]:
    """The options that stand before a command."""
    app = typer.Typer(add_completion=False)

    @app.callback()
    def root(
        _version: Annotated[
            bool,
            typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version of im-bridge."),
        ] = False,
    ) -> None: ...

    return typer.main.get_group(app).params


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"im-bridge {version('im-bridge')}")
        raise typer.Exit
