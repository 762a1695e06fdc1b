"""How dead letters are listed and shown."""

from __future__ import annotations

from collections.abc import AsyncIterator

import orjson
import pytest
from aiokafka import ConsumerRecord
from typer.testing import CliRunner

from common import dead_letter_replay
from common.dead_letter_filter import DeadLetterFilter
from common.kafka.dead_letters import DeadLetter
from consumers.commands import dlq, dlq_list

HOSTILE = "ann\x1b[2J\x85\u202e\n0-8  forged"


def letter(offset: int = 7) -> DeadLetter:
    """A dead letter; its subject and a header would be obeyed by a terminal."""
    value = orjson.dumps({"type": "im.c2c.message.recalled", "subject": HOSTILE})
    headers = (("reason", b"handler_failed"), ("group", b"badges"), ("detail", HOSTILE.encode()))
    return DeadLetter(ConsumerRecord("dlq", 0, offset, 1_700_000_000_000, 0, b"ann", value, None, 0, 0, headers))


def lay_out(monkeypatch: pytest.MonkeyPatch, letters: list[DeadLetter]) -> None:
    """These are the dead letters, without Kafka."""

    async def found(
        _arguments: object, _topic: str, chosen: DeadLetterFilter, *, done_too: bool = False, **_: object
    ) -> AsyncIterator[DeadLetter]:
        for one in letters:
            if (done_too or one.outcome is None) and one.fits(chosen):
                yield one

    monkeypatch.setattr(dlq_list, "open_letters", found)
    monkeypatch.setattr(dead_letter_replay, "open_letters", found)


@pytest.fixture(autouse=True)
def one_letter(monkeypatch: pytest.MonkeyPatch, restored_logging: None) -> None:
    lay_out(monkeypatch, [letter()])


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(dlq.app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_letters_are_lines_below_their_headings_whatever_their_subject_is() -> None:
    headings, line = printed("list").splitlines()
    subject = r"ann\x1b[2J\x85\u202e\n0-8  forged"
    start = "0-7     2023-11-14T22:13:20.000Z  open   badges  handler_failed  im.c2c.message.recalled"
    assert line == f"{start}  {subject}  {subject}"
    assert headings.split() == ["letter", "time", "state", "group", "reason", "type", "subject", "detail"]
    assert [headings.index(name) for name in ("state", "detail")] == [line.index("open"), line.rindex("ann")]


def test_the_number_of_letters_is_told_and_none_has_no_headings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(dlq.app, ["list"]).stderr == "1 dead letter\n"
    lay_out(monkeypatch, [])
    done = CliRunner().invoke(dlq.app, ["list"])
    assert (done.stdout, done.stderr) == ("", "0 dead letters\n")


@pytest.mark.parametrize("command", [("list",), ("drop", "--dry-run"), ("replay", "badges", "--dry-run")])
def test_where_no_letter_fits_those_that_are_open_are_counted(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(monkeypatch, [letter(), letter(8)])
    done = CliRunner().invoke(dlq.app, [*command, "--reason", "nonsense"])
    assert done.exit_code == 0, done.output
    assert "no open dead letter fits these options; without them 2 do" in done.stderr


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("0-77", "there is no dead letter 0-77 on im.events.dlq"),
        ("0-7", "dead letter 0-7 is done: it was replayed"),
        ("00-08", "dead letter 0-8 does not fit the other options: its group is badges, its reason handler_failed"),
    ],
)
def test_a_letter_that_is_named_and_not_there_says_why(given: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done_already, open_one = letter(7), letter(8)
    done_already.outcome = "replayed"
    lay_out(monkeypatch, [done_already, open_one])
    for command in (["drop"], ["replay", "badges"]):
        done = CliRunner().invoke(dlq.app, [*command, "--letter", given, "--reason", "other", "--dry-run"])
        assert (done.exit_code, done.stdout) == (1, "")
        assert told in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "7"),
        ("show", "0:7"),
        ("drop", "--letter", "im.events.dlq-0-7"),
        ("drop", "--letter", "-1-7"),
        ("drop", "--letter", ""),
        ("replay", "badges", "--letter", "0-"),
        ("list", "--since", "yesterday"),
        ("list", "--since", "1h", "--until", "2h"),
    ],
)
def test_an_option_that_can_mean_nothing_is_an_error_of_usage(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(dlq.app, arguments)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.stderr


def test_what_is_done_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = letter()
    dropped.outcome = "dropped"
    lay_out(monkeypatch, [dropped, letter(8)])
    assert [line.split()[2] for line in printed("list", "--all").splitlines()] == ["state", "dropped", "open"]
    assert [orjson.loads(line)["state"] for line in printed("list", "--all", "--json").splitlines()] == [
        "dropped",
        "open",
    ]


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
