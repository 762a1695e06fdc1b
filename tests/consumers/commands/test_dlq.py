"""How dead letters are listed and shown."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import pytest
from aiokafka import ConsumerRecord
from typer.testing import CliRunner

from common.kafka.dead_letters import DeadLetter
from consumers.commands import dlq

HOSTILE = "ann\x1b[2J\x85\u202e\n0-8  forged"


@pytest.fixture(autouse=True)
def one_letter(monkeypatch: pytest.MonkeyPatch, restored_logging: None) -> None:
    """The one dead letter, without Kafka; its subject and a header would be obeyed by a terminal."""

    async def letters(*_: object, **__: object) -> AsyncIterator[DeadLetter]:
        value = orjson.dumps({"type": "im.c2c.message.recalled", "subject": HOSTILE})
        headers = (("reason", b"handler_failed"), ("group", b"badges"), ("detail", HOSTILE.encode()))
        yield DeadLetter(ConsumerRecord("dlq", 0, 7, 1_700_000_000_000, 0, b"ann", value, None, 0, 0, headers))

    monkeypatch.setattr(dlq, "open_letters", letters)


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(dlq.app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_letter_is_one_line_whatever_its_subject_is() -> None:
    line = r"ann\x1b[2J\x85\u202e\n0-8  forged"
    start = "0-7  2023-11-14T22:13:20+00:00  badges  handler_failed  im.c2c.message.recalled"
    assert printed("list") == f"{start}  {line}  {line}\n"


def test_a_letter_as_json_is_one_line_that_a_terminal_does_not_obey_and_a_program_reads() -> None:
    text = printed("list", "--json")
    assert text.removesuffix("\n").isprintable()
    assert orjson.loads(text)["subject"] == orjson.loads(text)["detail"] == HOSTILE


def test_a_letter_that_is_shown_has_one_line_for_each_header_and_then_its_value() -> None:
    *headers, empty, value = printed("show", "0-7").splitlines()
    assert headers == ["reason: handler_failed", "group: badges", r"detail: ann\x1b[2J\x85\u202e\n0-8  forged"]
    assert empty == ""
    assert value.startswith('{"type":"im.c2c.message.recalled"')
    assert value.isprintable()
