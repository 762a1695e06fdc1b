"""Why Kafka cannot be used, in words and with the address that it is about."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop
from aiokafka.errors import (
    InvalidTimestampError,
    KafkaConnectionError,
    KafkaError,
    LeaderNotAvailableError,
    NodeNotReadyError,
    NotEnoughReplicasAfterAppendError,
    NotEnoughReplicasError,
    RequestTimedOutError,
)

from common.kafka import diagnosis
from common.kafka.clients import admin_client
from common.kafka.connection import UnreachableError
from common.kafka.diagnosis import explain
from tests.support.ports import free_port

LOOPS = pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "nothing listens there (kafka-1:9092)"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 9), [Errno 111] Connect call failed"),
            "nothing listens there (kafka-1:9092)",
        ),
        (
            socket.gaierror(-2, "Name or service not known"),
            "the name in kafka-1:9092 is not known here",
        ),
        (OSError(113, "No route to host"), "it cannot be reached (kafka-1:9092: No route to host)"),
        (
            TimeoutError(),
            (
                "it does not answer as a Kafka broker does (kafka-1:9092): it hangs, is cut off or has too much to do,"
                " or it is none, see …KAFKA_BOOTSTRAP_SERVERS"
            ),
        ),
    ],
)
def test_a_broker_that_cannot_be_reached_is_named(error: OSError, told: str) -> None:
    unreachable = UnreachableError("kafka-1", 9092, error)
    unreachable.__cause__ = error
    assert explain(unreachable).startswith(told)


@LOOPS
@pytest.mark.parametrize("host", ["localhost", "nowhere.invalid"])
def test_the_cause_that_aiokafka_only_logs_is_told(
    host: str, new_loop: type[asyncio.AbstractEventLoop], restored_logging: None
) -> None:
    diagnosis.watch()
    address = f"{host}:{free_port()}"

    async def connect() -> None:
        async with admin_client({"bootstrap_servers": address}):
            pass

    with asyncio.Runner(loop_factory=new_loop) as runner, pytest.raises(KafkaError) as raised:
        runner.run(connect())
    told = explain(raised.value)
    assert address in told
    assert not {"Errno", "gaierror", "Multiple"} & set(told.replace(":", " ").split())


@pytest.mark.parametrize("kind", [KafkaConnectionError, NodeNotReadyError])
def test_without_a_known_cause_it_says_what_may_be(kind: type[KafkaError], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "CAUSE_LASTS_S", 0.0)
    assert explain(kind("node 1")).startswith("nothing listens there, or it closes the connection")


@LOOPS
def test_several_that_fail_for_one_cause_are_all_told_of_it(
    new_loop: type[asyncio.AbstractEventLoop], restored_logging: None
) -> None:
    diagnosis.watch()
    address = f"127.0.0.1:{free_port()}"

    async def connect() -> None:
        async with admin_client({"bootstrap_servers": address}):
            pass

    with asyncio.Runner(loop_factory=new_loop) as runner, pytest.raises(KafkaError):
        runner.run(connect())
    told = [explain(NodeNotReadyError("node 1")) for _ in range(3)]
    assert told == [f"nothing listens there ({address})"] * 3


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RequestTimedOutError(), "it is connected, and does not answer"),
        (LeaderNotAvailableError(), "a partition of the topic has no leader: brokers are away"),
        (NotEnoughReplicasError(), diagnosis.TOO_FEW_REPLICAS),
        (NotEnoughReplicasAfterAppendError(), diagnosis.TOO_FEW_REPLICAS),
        (InvalidTimestampError(), diagnosis.ADVICE[InvalidTimestampError]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, KafkaError) else "told",
)
def test_what_a_broker_says_is_told_in_words_and_not_by_its_number(error: KafkaError, told: str) -> None:
    assert explain(error) == told
