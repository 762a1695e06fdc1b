"""Finds the class of a worker by the name that `consumers run` and `consumers dlq replay` are given."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from consumers.badges import Badges
from consumers.commands.execution import fail
from consumers.forward import Forward
from consumers.worker import BaseWorker

WORKERS: dict[str, type[BaseWorker[Any]]] = {worker.name: worker for worker in (Badges, Forward)}
"""The workers of this package by name. `reconcile` is none: it reads no topic, see consumers/commands/run.py."""


def find_worker(name: str) -> type[BaseWorker[Any]]:
    """The worker of a name, or the class of `package.module:Class`.

    Raises:
        typer.Exit: there is none; what is wrong is printed.
    """
    if name in WORKERS:
        return WORKERS[name]
    module, colon, attribute = name.partition(":")
    if not colon:
        fail(f"there is no worker {name}: take {', '.join(WORKERS)}, or a class of yours as package.module:Class")
    sys.path.insert(0, "")  # a module of the current folder, as `python -m` finds it
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        fail(f"the worker {name} cannot be imported: {error}")
    except AttributeError:
        fail(f"the module {module} has no {attribute}")
    if not (isinstance(found, type) and issubclass(found, BaseWorker)):
        fail(f"{name} is no worker: make it a subclass of consumers.worker.Worker")
    if not getattr(found, "name", ""):
        fail(f"{name} has no name: give the class an attribute name, which is its consumer group too")
    return found
