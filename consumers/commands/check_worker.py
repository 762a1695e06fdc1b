"""Whether a class can be a worker: what else would be noticed with the first event only, or never."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

from consumers.settings import is_group_name
from consumers.worker import BaseWorker

_COROUTINES = {"start": 1, "handle": 1, "probe": 0, "stop": 0}
"""Name → how many arguments it is given."""
_FUNCTIONS = {"read": 1, "topic": 1, "topics": 1, "remarks": 0}


def problem_of(worker: type[BaseWorker[Any]]) -> str | None:
    """What keeps a class from being a worker, to be put behind its name; None if nothing does."""
    if inspect.isabstract(worker):
        missing = ", ".join(sorted(worker.__abstractmethods__))
        return f"is not complete: it lacks {missing}. Write `async def handle(self, batch)` and what else it names"
    return _problem_of_name(worker) or _problem_of_methods(worker) or _problem_of_attributes(worker)


def _problem_of_name(worker: type[BaseWorker[Any]]) -> str | None:
    name = getattr(worker, "name", "")
    if isinstance(name, str) and is_group_name(name):
        return None
    if not name:
        return "has no name: give the class an attribute name, which is its consumer group too"
    return f"has the name {name!r:.60}, which can be none of a consumer group: give it a short text"


def _problem_of_methods(worker: type[BaseWorker[Any]]) -> str | None:
    for name, arguments in (_COROUTINES | _FUNCTIONS).items():
        method = inspect.getattr_static(worker, name)
        shown = f"{name}(self{', …' * arguments})"
        function = inspect.unwrap(getattr(worker, name))
        if name in _COROUTINES and not inspect.iscoroutinefunction(function):
            return f"has a {name} that is not async: write `async def {shown}`, and no yield in it"
        if name in _FUNCTIONS and (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
            return f"has a {name} that is async: write `def {shown}`"
        given = (None,) * (arguments if isinstance(method, staticmethod | classmethod) else arguments + 1)
        try:
            inspect.signature(getattr(worker, name)).bind(*given)
        except TypeError as error:
            return f"has a {name} that takes other arguments than it is given ({error}): write `{shown}`"
    return None


def _problem_of_attributes(worker: type[BaseWorker[Any]]) -> str | None:
    most = worker.max_events
    if not isinstance(most, int) or most < 1:
        return f"has max_events = {most!r:.60}: it must be a whole number, 1 or more"
    wanted = getattr(worker, "event_types", None)
    if wanted is None or (_is_collection(wanted) and wanted and all(isinstance(one, str) for one in wanted)):
        return None
    return f"has event_types = {wanted!r:.60}: write a set of types, as frozenset({{'im.c2c.message.recalled'}})"


def _is_collection(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes)
