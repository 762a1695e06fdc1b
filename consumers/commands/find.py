"""What the commands have in common: finding a worker, running to the end, failing with one clear line."""

from __future__ import annotations

import asyncio
import errno
import importlib
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import redis.exceptions
import typer
import uvloop
from aiokafka.errors import KafkaError

from common.kafka.topics import TopicsMissingError
from consumers.badges.badges import Badges
from consumers.errors import RetryLater, WorkerRefusedError, describe
from consumers.forward import Forward
from consumers.worker import BaseWorker

WORKERS: dict[str, type[BaseWorker[Any]]] = {worker.name: worker for worker in (Badges, Forward)}
"""The workers of this package, by the name that `consumers run` takes."""

Result = TypeVar("Result")


def find_worker(name: str) -> type[BaseWorker[Any]]:
    """The worker of a name, or the class of `package.module:Class`; ends the program where there is none."""
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


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Run what a command does; ends the program with one line where that fails for reasons outside."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except redis.exceptions.ResponseError as error:
        fail(f"Redis has something else where a badge should be ({describe(error)}): delete that key")
    except (RetryLater, WorkerRefusedError, TopicsMissingError) as error:
        fail(str(error))
    except KafkaError as error:
        fail(f"Kafka: {describe(error)}")
    except TimeoutError:
        fail("Kafka does not answer: is CONSUMERS_KAFKA_BOOTSTRAP_SERVERS its address?")
    except OSError as error:
        hint = ": is the port of CONSUMERS_ADMIN_PORT taken?" if error.errno == errno.EADDRINUSE else ""
        fail(f"{error.strerror or describe(error)}{hint}")


def fail(message: str) -> NoReturn:
    """End the program with exit status 1 and one line."""
    print(f"error: {message}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(1)
