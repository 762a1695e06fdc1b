"""Makes the virtual environment ready for a target of the Makefile: `python -m requirements.install STAMP LOCK_FILE…`.

Installs the packages of the lock files (a file with hashes is held to them) and the project itself as it lies here,
then touches STAMP, a file in the environment, which is made if it is not there. What is newer than it all is left
alone. Packages are installed with uv, in seconds; where uv has no wheel for the machine, with pip, in minutes.

Runs on the bare Python that makes the environment, so it needs nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import re
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from requirements.installers import Installer, InstallError, Pip, Uv, find_pip

ROOT = Path(__file__).resolve().parent.parent
UV_LOCK = ROOT / "requirements" / "uv.txt"


def main() -> None:
    """Make the environment of the command line; exit with 1 and a message when that fails."""
    stamp, *lock_files = [Path(argument).absolute() for argument in sys.argv[1:]]
    began = time.monotonic()
    try:
        with _turn():
            if not _is_current(stamp, [*lock_files, ROOT / "pyproject.toml"]):
                _install(stamp.parent, lock_files)
                stamp.touch()
                _tell(f"ready after {time.monotonic() - began:.0f} s")
    except InstallError as error:
        raise SystemExit(f"setup failed: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("setup was interrupted; the next make goes on with it") from None


@contextmanager
def _turn() -> Iterator[None]:
    """Targets made at the same time (`make -j2 demo test`) install one after the other."""
    folder = ROOT / ".cache"
    folder.mkdir(exist_ok=True)
    with (folder / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_current(stamp: Path, sources: list[Path]) -> bool:
    return stamp.exists() and all(source.stat().st_mtime <= stamp.stat().st_mtime for source in sources)


def _install(environment: Path, lock_files: list[Path]) -> None:
    python = environment_of(environment)
    pip = Pip(find_pip(python))
    uv = uv_of(environment, python, pip)
    if uv is not None:
        try:
            _install_with(uv, lock_files)
        except InstallError as error:
            _tell(f"uv failed, so pip tries, which takes some minutes. {error}")
        else:
            return
    _install_with(pip, lock_files)


def _install_with(installer: Installer, lock_files: list[Path]) -> None:
    for lock_file in lock_files:
        text = lock_file.read_text(encoding="utf-8")
        count = len(re.findall("^[a-zA-Z0-9].*==", text, re.MULTILINE))
        _tell(f"{lock_file.relative_to(ROOT)}: {count} package{'s' if count > 1 else ''}, with {installer.name}")
        hashed = ["--require-hashes"] if "--hash=" in text else []
        installer.install(*hashed, "-r", str(lock_file))
    _tell("the project itself, with the commands bridge and consumers")
    installer.install("--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def environment_of(environment: Path) -> Path:
    """The interpreter of the environment, which is made anew if it does not run or is of another version."""
    python = environment / "bin" / "python"
    version = ".".join(map(str, sys.version_info[:2]))
    ask = [str(python), "-E", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        told = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        told = ""
    if told != version:
        _tell(f"a new environment {environment.name}, with Python {sys.version.split()[0]}")
        venv.create(environment, clear=True, symlinks=True, with_pip=False)
    return python


def uv_of(environment: Path, python: Path, pip: Pip) -> Uv | None:
    """uv of the version in its lock file, None where it cannot be installed."""
    reading = pip.read_settings()  # at the same time, since it takes a second
    version = re.findall(r"^uv==(\S+)", UV_LOCK.read_text(encoding="utf-8"), re.MULTILINE)[0]
    if not any(environment.glob(f"lib/python*/site-packages/uv-{version}.dist-info")):
        _tell(f"uv {version}, which installs the rest")
        try:
            pip.install("--only-binary", ":all:", "--require-hashes", "-r", str(UV_LOCK))
        except InstallError as error:
            _tell(f"uv cannot be installed, so pip goes on, which takes some minutes. {error}")
            return None
    return Uv(environment / "bin" / "uv", python, reading)


def _tell(line: str) -> None:
    sys.stdout.write(f"setup: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
