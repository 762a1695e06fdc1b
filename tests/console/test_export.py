"""An export is whole, or the browser learns that it is not; and whoever reads it slowly holds up nobody else."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaConnectionError

from bridge.console import application, letters
from bridge.console.hiding import Hiding
from bridge.console.letters import AT_A_TIME, DeadLetterView, LetterList
from bridge.settings import DeveloperSettings
from common.dead_letter_filter import DeadLetterFilter
from common.kafka import dead_letters
from tests.console.test_access import served
from tests.support.http import until

SETTINGS = DeveloperSettings.model_validate({"kafka_bootstrap_servers": "127.0.0.1:1"})


def letter(offset: int, size: int = 10) -> ConsumerRecord:
    headers = (("reason", b"not_json"),)
    return ConsumerRecord("im.events.dlq", 0, offset, 1_670_574_414_987, 0, b"k", b"x" * size, None, 1, size, headers)


async def test_an_export_that_kafka_ends_is_no_whole_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_all(_client: Any, topic: str, *_: Any) -> Any:
        if not topic.endswith(".done"):
            yield letter(1)
            raise KafkaConnectionError

    monkeypatch.setattr(dead_letters, "read_all", read_all)
    async with served(SETTINGS) as site:
        with pytest.raises(aiohttp.ClientPayloadError):
            await site.ask("GET", "/api/letters/export")


async def test_who_does_not_read_an_export_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()

    async def read_all(_client: Any, topic: str, *_: Any) -> Any:
        try:
            for offset in range(100_000 if not topic.endswith(".done") else 0):
                yield letter(offset, 100_000)
        finally:
            if not topic.endswith(".done"):
                ended.set()

    monkeypatch.setattr(dead_letters, "read_all", read_all)
    monkeypatch.setattr(application, "WRITE_S", 0.2)
    async with served(SETTINGS) as site:
        _, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(f"GET /api/letters/export HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode())
        async with asyncio.timeout(60):
            await ended.wait()
        writer.close()


async def test_exports_that_nobody_reads_hold_up_no_list(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_all(_client: Any, topic: str, *_: Any) -> Any:
        if not topic.endswith(".done"):
            yield letter(1)

    monkeypatch.setattr(dead_letters, "read_all", read_all)
    view = DeadLetterView(SETTINGS, Hiding([]))
    exports = [view.export(DeadLetterFilter(), done_too=True) for _ in range(AT_A_TIME)]
    for export in exports:
        await anext(export)
    assert (await view.list(DeadLetterFilter(), done_too=True)).count == 1
    for export in exports:
        await export.aclose()


async def test_a_kafka_that_does_not_answer_is_no_topic_without_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_all(_client: Any, topic: str, report: Any = None) -> Any:
        if not topic.endswith(".done"):
            for offset in range(letters_before_silence):
                report(offset + 1, 10)
                yield letter(offset)
            await asyncio.sleep(3600)

    monkeypatch.setattr(dead_letters, "read_all", read_all)
    monkeypatch.setattr(letters, "READ_S", 1.0)
    view = DeadLetterView(SETTINGS, Hiding([]))
    letters_before_silence = 0
    with pytest.raises(TimeoutError):
        await view.list(DeadLetterFilter(), done_too=True)
    letters_before_silence = 3
    listed = await view.list(DeadLetterFilter(), done_too=True)
    assert (listed.count, listed.is_complete) == (3, False)


async def test_any_number_of_browsers_that_list_the_same_letters_cost_a_few_readings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[str] = []
    go_on = asyncio.Event()

    async def read_all(_client: Any, topic: str, *_: Any) -> Any:
        if not topic.endswith(".done"):
            begun.append(topic)
            await go_on.wait()
            yield letter(len(begun))

    monkeypatch.setattr(dead_letters, "read_all", read_all)
    view = DeadLetterView(SETTINGS, Hiding(()))
    looks: list[asyncio.Task[LetterList]] = []
    while len(looks) < AT_A_TIME:
        looks.append(asyncio.create_task(view.list(DeadLetterFilter(), done_too=False)))
        await until(lambda: len(begun) == len(looks))
    looks += [asyncio.create_task(view.list(DeadLetterFilter(), done_too=False)) for _ in range(200)]
    other = asyncio.create_task(view.list(DeadLetterFilter(reason="not_json"), done_too=False))
    await asyncio.sleep(0)
    looks[-1].cancel()
    go_on.set()
    assert [found.count for found in await asyncio.gather(*looks[:-1], other)] == [1] * (AT_A_TIME + 200)
    assert len(begun) == AT_A_TIME + 2
    after = await view.list(DeadLetterFilter(), done_too=False)
    assert after.letters[0].name == f"0-{len(begun)}", "what was read before one asked is not what one sees"
