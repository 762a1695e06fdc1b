"""Finds the class of a worker by the name that `consumers run` and `consumers dlq replay` are given, and makes one."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from common.nearest_name import nearest_name
from consumers.badges import Badges
from consumers.commands.check_worker import problem_of
from consumers.commands.execution import fail_for_use
from consumers.errors import describe_with_place
from consumers.forward import Forward
from consumers.worker import BaseWorker

WORKERS: dict[str, type[BaseWorker[Any]]] = {worker.name: worker for worker in (Badges, Forward)}
"""The workers of this package by name. `reconcile` and `audit` are none, see consumers/commands/running.py."""

_FORM = "package.module:Class or ./file.py:Class"


def make_worker(name: str) -> BaseWorker[Any]:
    """A worker of the class of a name.

    Raises:
        typer.Exit: with 2; there is none, or it cannot be one, and what is wrong is printed.
    """
    found = find_worker(name)
    try:
        return found()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a constructor may raise anything
        fail_for_use(f"the worker {name} cannot be made without arguments: {describe_with_place(error)}")


def find_worker(name: str) -> type[BaseWorker[Any]]:
    """The worker of a name, or the class of `package.module:Class` or `path/to/file.py:Class`.

    Raises:
        typer.Exit: with 2; there is none, and what is wrong is printed.
    """
    if name in WORKERS:
        return WORKERS[name]
    place, colon, attribute = name.rpartition(":")
    if not colon:
        _fail_for_a_name(name)
    if not place or not attribute:
        fail_for_use(f"{name} is no name of a worker: write {_FORM}")
    module = _imported(name, place)
    found = getattr(module, attribute, None)
    if found is None:
        fail_for_use(f"the module {place} has no {attribute}{_hint(attribute, _workers_in(module))}")
    if not (isinstance(found, type) and issubclass(found, BaseWorker)):
        fail_for_use(f"{name} is no worker: make it a subclass of consumers.worker.Worker")
    if problem := problem_of(found):
        fail_for_use(f"{name} {problem}")
    package_worker = WORKERS.get(found.name)
    if package_worker is not None and not issubclass(found, package_worker):
        fail_for_use(
            f"{name} has the name {found.name}, and so the consumer group of that worker: each would get a part of the "
            "events. Give the class another name"
        )
    return found


def _fail_for_a_name(name: str) -> None:
    file = name if _is_path(name) else f"{name}.py"
    if _is_path(name) or Path(file).is_file():
        found = _workers_in(_imported(name, file))
        fail_for_use(f"{name} is a file: say which class of it, as {file}:{found[0] if found else 'Class'}")
    known = [*WORKERS, "reconcile", "audit"]
    fail_for_use(
        f"there is no worker {name}{_hint(name, known, cutoff=0.5)}: take {', '.join(known)}, or a class of yours as "
        f"{_FORM}"
    )


def _hint(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    nearest = nearest_name(name, known, cutoff=cutoff)
    return f" (is {nearest} meant?)" if nearest else ""


def _is_path(place: str) -> bool:
    return place.endswith(".py") or "/" in place


def _imported(name: str, place: str) -> ModuleType:
    """The module of a worker, by its name or the path of its file."""
    load: Callable[[str], ModuleType] = _import_file if _is_path(place) else importlib.import_module
    if "" not in sys.path:
        sys.path.insert(0, "")  # a module of the current folder, as `python -m` finds it
    try:
        return load(place)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{place}.".startswith(f"{error.name}."):
            where = f"file {place}.py" if Path(f"{place}.py").exists() else f"module {error.name} in {Path.cwd()}"
            fail_for_use(f"the worker {name} cannot be imported: there is no {where}, nor installed. Write {_FORM}")
        told = describe_with_place(error)
        fail_for_use(f"the worker {name} cannot be imported: {told}. Install it where consumers is installed")
    except FileNotFoundError as error:
        if error.filename != place:
            fail_for_use(f"the worker {name} cannot be imported: {describe_with_place(error)}")
        fail_for_use(f"the worker {name} cannot be imported: there is no file {place}")
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a module may raise anything
        fail_for_use(f"the worker {name} cannot be imported: {describe_with_place(error)}")


def _import_file(place: str) -> ModuleType:
    """The module in a file. It finds those beside it, as a program that Python is given does.

    Raises:
        FileNotFoundError: there is no such file.
        Exception: whatever it raises.
    """
    path = Path(place)
    if not path.is_file():
        raise FileNotFoundError(2, "No such file", place)
    sys.path.insert(0, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} is no file of Python: its name must end with .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _workers_in(module: ModuleType) -> list[str]:
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, BaseWorker) and value.__module__ == module.__name__
    ]
