"""What every command does around its work: load settings, run to the end, fail with one line that says what to do."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import typer
import uvloop
from aiokafka.errors import KafkaError

from common.interrupts import be_interruptible
from common.kafka import diagnosis
from common.kafka.topics import TopicsMissingError
from common.logs import configure
from common.settings import load_settings
from consumers.badges.redis_connection import ForeignKeyError
from consumers.errors import RetryLater, WorkerRefusedError, describe
from consumers.settings import ConsumersSettings

Result = TypeVar("Result")

_KAFKA_SETTING = "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS"


def quiet_settings() -> ConsumersSettings:
    """The settings for a command whose output people read; the log is kept to errors from then on.

    Raises:
        SystemExit: a setting is wrong; which one is printed.
    """
    settings = load_settings(ConsumersSettings)
    configure(log_format=settings.log_format, level="error")
    diagnosis.watch()
    return settings


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Run what a command does.

    Raises:
        typer.Exit: it was interrupted, or failed for a reason outside, which is printed in one line.
    """
    be_interruptible()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except (RetryLater, WorkerRefusedError, TopicsMissingError, ForeignKeyError) as error:
        fail(str(error))
    except KafkaError as error:
        fail(f"Kafka at {_kafka()} cannot be used: {describe(error)}. Start it, or set {_KAFKA_SETTING}")
    except TimeoutError:
        fail(f"Kafka at {_kafka()} does not answer. Start it, or set {_KAFKA_SETTING}")
    except OSError as error:
        fail(error.strerror or describe(error))


def _kafka() -> str:
    return load_settings(ConsumersSettings).kafka_bootstrap_servers


def fail(message: str, *, status: int = 1) -> NoReturn:
    """End the program with one line.

    Raises:
        typer.Exit: with this status, always.
    """
    print(f"error: {message}", file=sys.stderr)  # noqa: T201
    raise typer.Exit(status)


def fail_for_use(message: str) -> NoReturn:
    """End the program with one line, since it was called in a wrong way.

    Raises:
        typer.Exit: with status 2, as of an option that does not exist.
    """
    fail(message, status=2)
