"""What somebody may do to a folder of journals while a process writes one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

Hurt = Callable[[Path], None]


def files(folder: Path) -> list[Path]:
    """What is no folder in it: ledgers of an audit have one of their own."""
    return [path for path in folder.iterdir() if not path.is_dir()]


def remove_file(folder: Path) -> None:
    """Remove all files."""
    for path in files(folder):
        path.unlink()


def remove_log(folder: Path) -> None:
    """Remove SQLite's write-ahead logs only."""
    for path in folder.glob("*-wal"):
        path.unlink()


def remove_folder(folder: Path) -> None:
    """Remove the folder with all that is in it."""
    shutil.rmtree(folder)


def move_folder(folder: Path) -> None:
    """Give the folder another name."""
    folder.rename(folder.with_name("elsewhere"))


def replace_folder(folder: Path) -> None:
    """Put an empty folder in the place of the folder."""
    move_folder(folder)
    folder.mkdir()


def rename_file(folder: Path) -> None:
    """Give the journals other names."""
    for path in folder.glob("*.journal"):
        path.rename(path.with_name("renamed"))


def replace_file(folder: Path) -> None:
    """Put copies in the place of all files."""
    for path in filter(Path.is_file, files(folder)):  # no sockets
        copy = path.with_name(path.name + ".new")
        shutil.copyfile(path, copy)
        copy.replace(path)


def link_file(folder: Path) -> None:
    """Move the journals away, and leave links to them."""
    elsewhere = folder.with_name("linked")
    elsewhere.mkdir()
    for path in files(folder):
        path.rename(elsewhere / path.name)
        path.symlink_to(elsewhere / path.name)


def give_second_name(folder: Path) -> None:
    """Link the journals elsewhere, as some backups do."""
    elsewhere = folder.with_name("backup")
    elsewhere.mkdir()
    for path in files(folder):
        (elsewhere / path.name).hardlink_to(path)


def truncate_log(folder: Path) -> None:
    """Truncate SQLite's write-ahead logs."""
    for path in folder.glob("*-wal"):
        os.truncate(path, 0)


def truncate_file(folder: Path) -> None:
    """Truncate all files."""
    for path in files(folder):
        os.truncate(path, 0)


TAKEN_AWAY: list[Hurt] = [
    remove_file,
    remove_log,
    remove_folder,
    move_folder,
    replace_folder,
    rename_file,
    replace_file,
    link_file,
    give_second_name,
]
TRUNCATED: list[Hurt] = [truncate_log, truncate_file]
