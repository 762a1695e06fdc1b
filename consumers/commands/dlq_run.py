"""What every command on dead letters does around its work: say in a line why Kafka cannot be used."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from common.dead_letter_commands import unusable
from common.dead_letter_replay import LetterMissingError
from consumers.commands.execution import fail, run_to_end
from consumers.settings import ConsumersSettings

Result = TypeVar("Result")


def run(settings: ConsumersSettings, work: Coroutine[Any, Any, Result]) -> Result:
    """Run what a command does, as `run_to_end`; that Kafka cannot be used names its address."""

    async def explained() -> Result:
        try:
            return await work
        except (KafkaError, TimeoutError) as error:
            fail(unusable(error, settings.kafka_bootstrap_servers, "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS"))
        except LetterMissingError as error:
            fail(str(error))

    return run_to_end(explained())
