"""What is let into the log."""

from __future__ import annotations

import logging
import os
from datetime import datetime

import orjson
import pytest

from common import logs
from common.logs import MAX_LINE_CHARS, JsonFormatter, TextFormatter, Throttle

HOSTILE = "a\r\n12:00:00 INFO    bridge: forged\x1b[2J\x85\x9b\u2028\u202e\udc80\x00\ttab"
"""A line that would be two, clear the screen, and turn the direction of writing; and half of a surrogate pair."""
HARMLESS = "消息 🙂 \u3000 ünï"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr("common.logs.time.monotonic", lambda: now[0])
    return now


def test_one_message_of_a_kind_is_let_through_in_each_interval_and_the_others_are_counted(clock: list[float]) -> None:
    throttle = Throttle(10)
    assert [throttle.admits("a") for _ in range(4)] == [True, False, False, False]
    assert throttle.admits("b")
    clock[0] = 10
    assert throttle.admits("a")
    assert [throttle.suppressed("a"), throttle.suppressed("a")] == [3, 0]


def test_kinds_that_somebody_else_thinks_up_do_not_grow_in_memory() -> None:
    throttle = Throttle(1000)
    for number in range(10 * logs.MAX_KINDS):
        throttle.admits(str(number))
    assert len(throttle._last) <= logs.MAX_KINDS + 1


def record_of(message: str, *arguments: object, error: BaseException | None = None) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("bridge.x", logging.WARNING, __file__, 1, message, arguments, exc_info)


def test_a_record_is_one_line_of_text_that_commands_no_terminal_whatever_it_quotes() -> None:
    line = TextFormatter("2").format(record_of("an endpoint said %s", f"{HARMLESS}{HOSTILE}"))
    assert line.replace("\u3000", "").isprintable()
    head, _, said = line.partition(" an endpoint said ")
    assert head.endswith("[2] WARNING bridge.x:")
    assert said == HARMLESS + r"a\r\n12:00:00 INFO    bridge: forged\x1b[2J\x85\x9b\u2028\u202e\udc80\x00\ttab"


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_the_password_of_an_address_is_in_no_line_and_in_no_traceback(formatter: logging.Formatter) -> None:
    url = "redis://ann:hidden@cache:6379/0"
    line = formatter.format(record_of("no connection to %s", url, error=ValueError(f"{'x' * MAX_LINE_CHARS} {url}")))
    assert "hidden" not in line
    assert "ann:**********@cache:6379" in line
    assert "hidden" not in formatter.format(record_of("%s", f"{'x' * (MAX_LINE_CHARS - 15)} {url}"))


def test_a_record_is_one_line_of_json_that_commands_no_terminal_and_is_read_as_it_was() -> None:
    line = JsonFormatter().format(record_of("an endpoint said %s", f"{HARMLESS}{HOSTILE}"))
    assert line.replace("\u3000", "").isprintable()
    assert orjson.loads(line)["message"] == f"an endpoint said {HARMLESS}{HOSTILE}".replace("\udc80", r"\udc80")


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_an_exception_can_neither_pretend_to_be_a_record_nor_command_a_terminal(formatter: logging.Formatter) -> None:
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        text = formatter.format(record_of("it failed", error=error))
    first, *below = text.split("\n")
    assert first.isprintable()
    assert all(line.isprintable() and line.startswith("    ") for line in below)
    if isinstance(formatter, JsonFormatter):
        assert below == []
        assert orjson.loads(text)["traceback"].startswith("Traceback (most recent call last):\n  File")
    else:
        assert below[0] == "    Traceback (most recent call last):"
        assert "    12:00:00 INFO    bridge: forged" in below[-1]


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_what_is_longer_than_anybody_reads_is_cut(formatter: logging.Formatter) -> None:
    line = formatter.format(record_of("%s", "x" * 1_000_000))
    assert f"xx… and {1_000_000 - MAX_LINE_CHARS} characters more" in line
    assert len(line) < MAX_LINE_CHARS + 300


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_all_that_is_logged_is_harmless(
    log_format: str, restored_logging: None, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(log_format=log_format, level="info", process="1")
    logging.getLogger("aiohttp.server").error("the platform said %s", HOSTILE)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert "forged" in line


def test_text_has_the_date_and_the_zone_and_json_what_programs_want_to_know() -> None:
    record = record_of("answered %d", 403)
    record.fields = logs.fields("refused", reason="bad_signature", app="1400000000", address=None)["fields"]
    head = TextFormatter().format(record).split()[0]
    assert datetime.fromisoformat(head).tzinfo is not None
    told = orjson.loads(JsonFormatter("2").format(record))
    assert (told["event"], told["reason"], told["app"], told["process"]) == (
        "refused",
        "bad_signature",
        "1400000000",
        "2",
    )
    assert told["pid"] == os.getpid()
    assert "address" not in told, "what is not known is left out"
    assert (told["message"], told["time"]) == ("answered 403", head)
    assert orjson.loads(JsonFormatter().format(record_of("hello")))["event"] == "message"


def test_a_field_is_as_harmless_as_the_words(restored_logging: None) -> None:
    record = record_of("x")
    record.fields = logs.fields("waiting", reason=f"{HOSTILE} redis://ann:hidden@cache:6379 {'y' * 20_000}")["fields"]
    line = JsonFormatter().format(record)
    assert line.isprintable()
    assert "hidden" not in line
    assert len(line) < 2 * MAX_LINE_CHARS
