"""The programs that are not Python: compiled here, when they are needed, into `.cache/bench`."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
BUILT = HERE.parent / ".cache" / "bench"


class BuildError(Exception):
    """A program cannot be built here; the message says why, and what to do."""


@cache
def load_generator() -> Path:
    """The load generator. Raises BuildError."""
    return _compiled(HERE / "load" / "load.c", BUILT / "load")


@cache
def slow_clock() -> Path:
    """A library to be preloaded. Raises BuildError."""
    return _compiled(HERE / "slow_clock.c", BUILT / "slow_clock.so", "-shared", "-fPIC")


@cache
def go_server() -> Path:
    """The servers in Go. Raises BuildError."""
    program = BUILT / "go-server"
    _build([_find("go", "Go 1.26 or newer"), "build", "-o", str(program), "."], HERE / "peers" / "go")
    return program


@cache
def rust_server() -> Path:
    """The server in Rust. Raises BuildError."""
    target = BUILT / "rust"
    cargo = _find("cargo", "Rust 1.87 or newer, and a C compiler for librdkafka")
    _build([cargo, "build", "--release", "--locked", "--target-dir", str(target)], HERE / "peers" / "rust")
    return target / "release" / "rust-server"


def _compiled(source: Path, target: Path, *options: str) -> Path:
    compiler = _find("cc", "a C compiler (Debian: apt install gcc libc6-dev)")
    _build([compiler, "-O2", "-Wall", "-Wextra", "-Werror", *options, "-o", str(target), str(source)], HERE)
    return target


def _find(tool: str, what: str) -> str:
    if (found := shutil.which(tool)) is None:
        raise BuildError(f"`{tool}` cannot be found: install {what}")
    return found


def _build(command: list[str], folder: Path) -> None:
    BUILT.mkdir(parents=True, exist_ok=True)
    # On all cores, whatever the caller is pinned to.
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, range(os.cpu_count() or 1)),
    )
    if done.returncode:
        log = BUILT / f"{Path(command[0]).name}.log"
        log.write_text(done.stderr)
        last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
        raise BuildError(f"`{Path(command[0]).name}` failed in {folder} ({last}); all that it says is in {log}")
