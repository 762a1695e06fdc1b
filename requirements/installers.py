"""pip and uv under one verb, and what uv has to be told of pip's settings: mirrors, certificates, proxies."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

UNREACHABLE = (
    "If the package index cannot be reached from here, name one that can: PIP_INDEX_URL=https://mirror/simple make …, "
    "or index-url, proxy and cert in pip's configuration, which uv is told of too"
)


class InstallError(Exception):
    """A package could not be installed. The message has what the installer printed, or says what is missing."""


class Installer(Protocol):
    """Installs into the environment that it was made for."""

    name: str

    def install(self, *arguments: str) -> None:
        """Install what the arguments of `pip install` name.

        Raises:
            InstallError: it does not work.
        """


class Pip:
    """pip of the environment's own Python, without being installed there, which would take longer than all else."""

    name = "pip"

    def __init__(self, command: PipCommand) -> None:
        self._command = command

    def install(self, *arguments: str) -> None:
        """As `Installer.install`."""
        done = self._start("install", "--quiet", "--no-user", *arguments)
        printed, _ = done.communicate()
        if done.returncode:
            told = [line for line in printed.splitlines() if not line.startswith("WARNING: Retrying")]
            raise InstallError("\n".join([*told, UNREACHABLE]))

    def read_settings(self) -> subprocess.Popen[str]:
        """Begin to ask pip for its settings, of files and variables; it takes a second."""
        return self._start("config", "list")

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command.arguments, "--disable-pip-version-check", *arguments],
            env={**os.environ, **self._command.variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )


@dataclass(frozen=True)
class PipCommand:
    """How pip is called: the command line and the variables that it needs."""

    arguments: list[str]
    variables: Mapping[str, str]


def find_pip(python: Path) -> PipCommand:
    """A pip for the environment of `python`: the wheel that every Python brings for `ensurepip`, else one installed.

    Raises:
        InstallError: there is none.
    """
    for wheel in _bundled():
        return PipCommand([str(python), "-m", "pip"], {"PYTHONPATH": str(wheel)})
    command = [sys.executable, "-m", "pip"]
    if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
        return PipCommand([*command, "--python", str(python)], {})
    raise InstallError(
        f"{sys.executable} has neither ensurepip nor pip. On Debian and Ubuntu: apt install python3-venv. "
        "Elsewhere: install pip for it, or run make PYTHON=/path/to/another/python3"
    )


def _bundled() -> list[Path]:
    """The pip wheels of the standard library, or of the folder where a distribution keeps them, newest first."""
    folders = [Path(str(sysconfig.get_path("stdlib")), "ensurepip", "_bundled")]
    if distribution := sysconfig.get_config_var("WHEEL_PKG_DIR"):
        folders.append(Path(distribution))
    return sorted((wheel for folder in folders for wheel in folder.glob("pip-*.whl")), reverse=True)


class Uv:
    """uv as it is installed in the environment.

    Args:
        uv: the program.
        python: the interpreter of the environment.
        settings: pip, printing its settings.
    """

    name = "uv"

    def __init__(self, uv: Path, python: Path, settings: subprocess.Popen[str]) -> None:
        self._uv = uv
        self._python = python
        printed, _ = settings.communicate()
        self._environment = {**uv_variables(pip_settings(printed)), **_cache_folder(python), **os.environ}

    def install(self, *arguments: str) -> None:
        """As `Installer.install`."""
        self.run("pip", "install", "--python", str(self._python), *arguments)

    def run(self, *arguments: str, stdin: str = "") -> None:
        """Run uv, and tell of each large download when it begins.

        Raises:
            InstallError: it failed.
        """
        printed = []
        with subprocess.Popen(
            [self._uv, *arguments],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdin
            assert process.stderr
            process.stdin.write(stdin)
            process.stdin.close()
            for line in process.stderr:
                printed.append(line)
                if line.startswith(("Downloading", "warning")):
                    sys.stdout.write(f"setup:   {line}")
                    sys.stdout.flush()
        if process.returncode:
            raise InstallError("".join(printed).strip())


def pip_settings(printed: str) -> dict[str, str]:
    """Each setting that `pip config list` printed (`global.index-url='https://…'`), by its name alone.

    A variable counts more than a file, and a file's section for `pip install` more than its `[global]`.
    """
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in printed.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        if section in found:
            found[section][name] = str(ast.literal_eval(value))
    return {**found["global"], **found["install"], **found[":env:"]}


def uv_variables(settings: Mapping[str, str]) -> dict[str, str]:
    """Variables that tell uv what pip knows of its indexes and of the way to them."""
    values = {
        "UV_DEFAULT_INDEX": settings.get("index-url"),
        "UV_INDEX": " ".join(settings.get("extra-index-url", "").split()),
        "UV_FIND_LINKS": ",".join(settings.get("find-links", "").split()),
        "UV_NO_INDEX": "1" if settings.get("no-index", "").lower() in {"1", "true", "yes", "on"} else None,
        "UV_INSECURE_HOST": " ".join(settings.get("trusted-host", "").split()),
        "SSL_CERT_FILE": settings.get("cert"),
        "SSL_CLIENT_CERT": settings.get("client-cert"),
        "ALL_PROXY": settings.get("proxy"),
        "UV_HTTP_TIMEOUT": settings.get("timeout") or settings.get("default-timeout"),
        # As pip does: every index counts. What is taken is held to its hash all the same.
        "UV_INDEX_STRATEGY": "unsafe-best-match" if "extra-index-url" in settings else None,
    }
    return {name: value for name, value in values.items() if value}


def _cache_folder(python: Path) -> dict[str, str]:
    """uv keeps its downloads in the home folder, and in the project where there is no home to write to."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~").expanduser() / ".cache")
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    if os.access(existing, os.W_OK):
        return {}
    return {"UV_CACHE_DIR": str(python.parents[2] / ".cache" / "uv")}
