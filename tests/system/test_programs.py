"""Both programs at their start: what they import, how they are called, and signals in their first moments."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import bridge.commands
import consumers.commands
from common.lazy_command import LazyCommand
from common.program import command_line
from tests.support.commands import BRIDGE, run_bridge
from tests.support.waiting import wait_until

COMMANDS = {
    f"{program.__name__} {name}": it
    for program in (bridge, consumers)
    for name, it in program.commands.COMMANDS.items()
}
HEAVY = {"aiohttp", "aiokafka", "asyncio", "bridge.events", "msgspec", "orjson", "prometheus_client", "pydantic"}
HEAVY |= {"redis", "rich", "uvloop"}


def imported(program: str, *arguments: str) -> set[str]:
    """The modules of which a program has any when it ends."""
    source = f"""
import sys
sys.argv = ["bridge", *{arguments!r}]
try:
    from {program}.cli import main
    main()
finally:
    print("IMPORTED", *sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.partition("IMPORTED")[2].split())


@pytest.mark.parametrize("program", ["bridge", "consumers"])
def test_help_imports_nothing_that_is_not_needed_for_it(program: str) -> None:
    modules = imported(program, "--help")
    assert "typer" in modules
    assert HEAVY & modules == set()


@pytest.mark.parametrize(
    "command",
    [*COMMANDS, "bridge journal drain", "bridge dlq replay", "consumers badge get", "consumers dlq list"],
)
def test_help_of_a_command_imports_nothing_of_what_does_it(command: str) -> None:
    program, *arguments = command.split()
    # pydantic is of typer itself: it reads the arguments.
    assert HEAVY & imported(program.removesuffix(".cli"), *arguments, "--help") <= {"pydantic"}


@pytest.mark.parametrize("program", ["bridge", "consumers"])
def test_the_table_of_settings_needs_no_client_of_kafka(program: str) -> None:
    assert {"aiokafka", "redis"} & imported(program, "settings") == set()


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_the_table_says_of_a_command_is_what_its_own_help_says(command: LazyCommand) -> None:
    module, _, attribute = command.place.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    told = found.info.help if isinstance(found, typer.Typer) else found.__doc__
    assert str(told).strip().splitlines()[0] == command.summary


def test_a_command_that_does_not_exist_is_a_wrong_use_and_a_near_one_is_named() -> None:
    done = run_bridge("tial")
    assert done.returncode == 2
    assert "Did you mean 'tail'" in done.stderr
    assert run_bridge("send", "--body", "-", stdin="{}").returncode == 2, "a body of no command is not dropped"


# -- The name it goes by -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("started", "path", "shown"),
    [
        ("{bin}/bridge", "", ("bridge", "{bin}/bridge")),
        ("{bin}/bridge", "{bin}", ("bridge", "bridge")),
        ("{bin}/bridge", "{other}:{bin}", ("bridge", "{bin}/bridge")),
        ("{bin}/bridge", "", ("consumers", "{bin}/consumers")),
        ("{bin}/im-bridge", "{bin}", ("bridge", "im-bridge")),
        ("{bin}/im-bridge", "{other}:{bin}", ("consumers", "consumers")),
        ("bridge", "", ("bridge", "./bridge")),
        (".venv/bin/bridge", "", ("bridge", ".venv/bin/bridge")),
        ("/a b/bridge", "", ("consumers", "'/a b/consumers'")),
        ("{links}/bridge", "", ("bridge", "{links}/bridge")),
        ("{links}/bridge", "", ("consumers", "{bin}/consumers")),
        ("{links}/callbacks", "{other}", ("bridge", "{links}/callbacks")),
        ("{links}/callbacks", "{other}", ("consumers", "{bin}/consumers")),
        ("/src/bridge/__main__.py", "", ("consumers", f"{sys.executable} -m consumers")),
        ("/src/bridge/cli.py", "", ("bridge", f"{sys.executable} -m bridge")),
        ("-c", "", ("bridge", f"{sys.executable} -m bridge")),
    ],
)
def test_a_hint_calls_a_program_as_this_one_was_called(
    started: str, path: str, shown: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, expected = shown
    for folder, name in (("bin", "bridge"), ("bin", "im-bridge"), ("bin", "consumers"), ("other", "bridge")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).touch(0o755)
    places = {name: tmp_path / name for name in ("bin", "other", "links")}
    places["links"].mkdir()
    for name in ("bridge", "callbacks"):
        (places["links"] / name).symlink_to(places["bin"] / "bridge")
    monkeypatch.setattr(sys, "argv", [started.format(**places)])
    monkeypatch.setenv("PATH", path.format(**places))
    assert command_line(program) == expected.format(**places)


@pytest.mark.parametrize("module", ["bridge", "bridge.cli"])
def test_it_runs_as_a_module_too(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "send", "C2C.CallbackAfterSendMsg", "--url", "http://127.0.0.1:1/"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"Start `{sys.executable} -m bridge dev`" in done.stderr


@pytest.mark.parametrize("arguments", [["nosuch"], ["dlq", "nosuch"], ["send", "--nosuch"]], ids=" ".join)
def test_a_wrong_use_names_the_help_of_this_program(arguments: list[str]) -> None:
    """A plain `bridge --help` is that of another program on most systems."""
    done = run_bridge(*arguments)
    assert done.returncode == 2
    assert f"Try '{' '.join([str(BRIDGE), *arguments[:-1]])} --help'" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [["send", "State.StateChange", "--set", b"a=\xff"], ["send", "--token", b"\xff"], ["dev", "--host", b"\xff"]],
    ids=["value", "token", "host"],
)
def test_an_argument_that_is_no_text_is_refused_in_one_line(arguments: list[str | bytes]) -> None:
    done = subprocess.run([BRIDGE, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0].endswith("\\udcff is not UTF-8")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("group", [one for one in COMMANDS if one.endswith((" journal", " dlq", " badge", " audit"))])
def test_a_group_of_commands_says_the_whole_of_what_each_does_and_offers_nothing_else(group: str) -> None:
    program, name = group.split()
    done = subprocess.run(
        [BRIDGE.with_name(program), name, "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "..." not in done.stdout.partition("Commands:")[2]
    assert "completion" not in done.stdout


# -- Signals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["shutil", "typing", "typer", "pydantic", "aiohttp", "aiokafka"])
def test_a_signal_while_it_is_imported_ends_it_in_silence(module: str, number: signal.Signals, tmp_path: Path) -> None:
    """At a certain moment: when a module of that name is imported, which is one that never ends."""
    (tmp_path / f"{module}.py").write_text("import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(60)\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        [BRIDGE, "dev"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as dev:
        wait_until((tmp_path / "begun").exists, timeout=60, what=f"the import of {module}")
        dev.send_signal(number)
        output, _ = dev.communicate(timeout=30)
    assert (dev.returncode, output) == (128 + number, b"")
