"""What is hidden is told by nothing: no row, no record, no header, no words of an error, and no filter."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import orjson
import pytest

from bridge.console.desk import DeskError
from bridge.console.health import Health
from bridge.console.hiding import HIDDEN, Hiding
from bridge.console.jobs import BusyError, Jobs
from bridge.console.letters import DeadLetterView
from bridge.console.live import Live
from bridge.console.live_filter import LiveFilter
from bridge.console.rebuilt_callback import callback_of
from bridge.console.record_detail import whole_record
from bridge.console.rows import row_of
from bridge.contract.record_line import MAX_DEPTH, content_of
from bridge.settings import DeveloperSettings
from common.dead_letter_filter import DeadLetterFilter
from common.kafka import dead_letters
from tests.console.records import event_record, record
from tests.support.http import until

SECRET = "meet-me-at-nine"
SENT = "C2C.CallbackAfterSendMsg"
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": SECRET}}]
BODY = {"CallbackCommand": SENT, "From_Account": "bob", "To_Account": "ann", "MsgBody": TEXT}
NESTED = orjson.dumps({"MsgBody": TEXT}).decode()


def letter(value: bytes, *headers: tuple[str, bytes]) -> Any:
    return record(value, ("reason", b"handler_failed"), *headers)


RECORDS = {
    "event": event_record(SENT, BODY),
    "raw body": event_record(SENT, BODY, ("raw-body", orjson.dumps(BODY))),
    "raw query": event_record(SENT, BODY, ("raw-query", f"Text={SECRET}".encode())),
    "foreign header": event_record(SENT, BODY, ("x-note", SECRET.encode())),
    "JSON in a text": event_record(SENT, BODY | {"MsgBody": [], "CloudCustomData": NESTED}),
    "cut JSON in a text": event_record(SENT, BODY | {"MsgBody": [], "CloudCustomData": NESTED[:-5]}),
    "escaped JSON in a text": event_record(SENT, BODY | {"CloudCustomData": NESTED.replace("M", r"\u004d")}),
    "letter of the ingress": letter(orjson.dumps(BODY), ("query", f"x={SECRET}".encode())),
    "letter of a worker": event_record(SENT, BODY, ("reason", b"handler_failed"), ("group", b"badges")),
    "no JSON": letter(SECRET.encode()),
    "a text as JSON": letter(orjson.dumps(SECRET)),
    "a list of texts": letter(orjson.dumps([[SECRET]])),
    "type and subject of a callback": letter(
        orjson.dumps({"type": [{"MsgBody": SECRET}], "subject": {"MsgBody": SECRET}})
    ),
    "words of a worker": letter(b"{}", ("detail", SECRET.encode()), ("traceback", SECRET.encode()), ("group", b"g")),
    "nested deeper than anybody looks": letter(b'{"a":' * 200 + orjson.dumps(SECRET) + b"}" * 200),
    "raw body as a text": event_record(SENT, BODY, ("raw-body", SECRET.encode())),
}


def everything_told(found: Any, hiding: Hiding) -> str:
    """All that any path of the page tells of a record."""
    callback = callback_of(found, content_of(found), hiding, url="http://127.0.0.1:1/")
    told = [row_of(found, hiding), whole_record(found, hiding), callback]
    return str([msgspec.to_builtins(one) for one in told])


@pytest.mark.parametrize("found", RECORDS.values(), ids=RECORDS)
def test_no_path_tells_what_is_hidden_nor_lets_it_be_found(found: Any) -> None:
    hiding = Hiding(["MsgBody"])
    assert SECRET not in everything_told(found, hiding)
    assert not LiveFilter(text=SECRET).admits(found, hiding)
    assert not LiveFilter(account=SECRET).admits(found, hiding)
    assert SECRET in everything_told(found, Hiding(())) or b"\\u004d" in found.value


def test_what_is_not_named_stays_as_it_is() -> None:
    custom = '{"colour": "red", "said": "a\\\\b"}'
    told = everything_told(event_record(SENT, BODY | {"CloudCustomData": custom}), Hiding(["MsgBody"]))
    for visible in ("bob", "ann", "colour", "im.c2c.message.sent", "1400000000"):
        assert visible in told


def test_json_in_a_text_that_lies_as_deep_as_is_looked_is_not_looked_into_for_ever() -> None:
    text = '{"a":' + "[" * 600 + "]" * 600 + f',"MsgBody":"{SECRET}"}}'
    for depth in range(MAX_DEPTH - 2, MAX_DEPTH + 1):
        content: Any = text
        for _ in range(depth):
            content = {"a": content}
        shown = Hiding(["MsgBody"]).shown(content)
        for _ in range(depth):
            shown = shown if shown == HIDDEN else shown["a"]
        assert SECRET not in shown


@pytest.mark.parametrize("name", ["To_Account", "to_account", "TO_ACCOUNT"])
def test_a_hidden_account_is_told_by_neither_subject_nor_key_nor_filter(name: str) -> None:
    hiding = Hiding([name])
    badge = orjson.dumps({"account": "ann-of-the-attic", "app_id": "1", "unread": 3})
    for found in (
        event_record(SENT, BODY | {"To_Account": "ann-of-the-attic"}),
        record(badge, key=b"1:ann-of-the-attic"),
        record(b"{", ("reason", b"not_json"), key=b"ann-of-the-attic"),
    ):
        assert "attic" not in everything_told(found, hiding)
        assert not LiveFilter(account="ann-of-the-attic").admits(found, hiding)
        assert not LiveFilter(text="attic").admits(found, hiding)


def test_what_the_query_said_is_hidden_under_its_own_name_too() -> None:
    value = orjson.loads(event_record(SENT, BODY).value) | {"clientip": "203.0.113.99", "platform": "windows"}
    found = record(orjson.dumps(value))
    assert "203.0.113.99" not in everything_told(found, Hiding(["ClientIP"]))
    assert "windows" not in everything_told(found, Hiding(["OptPlatform"]))
    assert not callback_of(found, value, Hiding(["ClientIP"]), url="http://127.0.0.1:1/").is_whole


async def test_letters_are_listed_and_exported_without_what_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    async def read_all(_client: Any, topic: str, *_: Any) -> Any:
        for one in RECORDS.values() if not topic.endswith(".done") else ():
            yield one

    async def record_at(*_: Any) -> Any:
        return RECORDS["words of a worker"]

    monkeypatch.setattr(dead_letters, "read_all", read_all)
    monkeypatch.setattr(dead_letters, "record_at", record_at)
    view = DeadLetterView(DeveloperSettings.model_validate({}), Hiding(["MsgBody"]))
    everything = DeadLetterFilter()
    listed = await view.list(everything, done_too=True)
    exported = b"".join([line async for line in view.export(everything, done_too=True)])
    found = await view.find("0-7")
    assert found is not None
    assert listed.count == len(RECORDS)
    assert SECRET not in str(msgspec.to_builtins(listed)) + exported.decode() + str(msgspec.to_builtins(found))
    assert (await view.list(DeadLetterFilter(account=SECRET), done_too=True)).count == 0
    assert (await view.list(DeadLetterFilter(account="bob"), done_too=True)).count > 0
    assert (await view.list(DeadLetterFilter(type=f"*{SECRET}*"), done_too=True)).count == 0
    assert (await view.list(DeadLetterFilter(type="im.c2c.*"), done_too=True)).count > 0


class QuotingDesk:
    """Workers whose words quote what they were given."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.may_end = asyncio.Event()

    async def ask(self, request: Any, **_: Any) -> Any:
        """As `DeskClient.ask`."""
        if self.fails:
            raise DeskError(f"ValueError: {SECRET}", may_quote=True)
        detail = {"worker": "started", "waiting": f"the worker fails: {SECRET}", "remark": SECRET}
        process = {"url": "http://127.0.0.1:1", "answers": True, "ready": False, "detail": detail}
        return [{"worker": name, "processes": [process], "dead_letters": None} for name in request["workers"]]


async def test_health_tells_no_words_of_a_worker() -> None:
    settings = DeveloperSettings.model_validate({"console_hide": "MsgBody"})
    live = Live(settings.kafka_client, ["im.events"], Hiding(settings.hidden_fields), badges_topic="im.badges")
    for desk in (QuotingDesk(), QuotingDesk(fails=True)):
        health = Health(settings, live, desk)  # type: ignore[arg-type]
        await health._look_at_workers()
        told = str(msgspec.to_builtins(health.report))
        assert SECRET not in told
        assert HIDDEN in told
    assert "ValueError" in told


def jobs_of(hiding: Hiding, work: Any) -> Jobs:
    jobs = Jobs(DeveloperSettings.model_validate({}), None, hiding, lambda: None)  # type: ignore[arg-type]
    jobs._asking = lambda _request: work  # type: ignore[method-assign,assignment]
    return jobs


async def test_progress_of_a_replay_tells_no_words_of_a_worker() -> None:
    async def work(report: Any) -> Any:
        report({"failed": [("0-1", f"KeyError: '{SECRET}'")], "waiting_for": SECRET})
        raise DeskError(SECRET, may_quote=True)

    hidden, shown = jobs_of(Hiding(["MsgBody"]), work), jobs_of(Hiding(()), work)
    for jobs in (hidden, shown):
        jobs.replay(DeadLetterFilter(), "badges", dry_run=True)
        await until(lambda: not jobs._tasks)  # noqa: B023 - it is awaited here
    told, plain = (str([msgspec.to_builtins(job) for job in jobs._jobs.values()]) for jobs in (hidden, shown))
    assert SECRET not in told
    assert "KeyError: …" in told
    assert plain.count(SECRET) == 3


async def test_only_one_thing_is_changed_at_a_time_and_it_can_be_ended() -> None:
    began: list[str] = []

    async def work(_report: Any) -> Any:
        began.append("")
        await asyncio.Event().wait()

    jobs = jobs_of(Hiding(()), work)
    one = jobs.replay(DeadLetterFilter(name="0-1"), "badges", dry_run=False)
    for again in (jobs.replay, lambda chosen, _, **how: jobs.drop(chosen, **how)):
        with pytest.raises(BusyError):
            again(DeadLetterFilter(name="0-1"), "badges", dry_run=False)
    jobs.drop(DeadLetterFilter(), dry_run=True)
    await until(lambda: len(began) == 2)
    ended = await jobs.end(one.id)
    assert ended is not None
    assert (ended.running, "it was ended" in ended.error) == (False, True)
    assert await jobs.end("no such job") is None
    jobs.replay(DeadLetterFilter(name="0-1"), "badges", dry_run=False)
    await jobs.stop()
