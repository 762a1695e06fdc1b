"""Query strings, of which all but ClientIP is read once."""

from __future__ import annotations

import random

import pytest

from bridge import query as queries
from bridge.normalize.content import command_in
from bridge.query import MAX_NAME_CHARS, MAX_PARAMETERS, MAX_REMEMBERED_BYTES, parse_query, query_of
from tests.support.callbacks import recalled
from tests.support.queries import told

PAIRS = (
    "SdkAppid=1400000000",
    "sdkappid=2",
    "CallbackCommand=C2C.CallbackAfterMsgWithDraw",
    "command=call_end",
    "contenttype=json",
    "ClientIP=203.0.113.7",
    "ClientIP=203.0.113.8",
    "ClientIP=2001%3Adb8%3A%3A7",
    "ClientIP=",
    "ClientIP",
    "clientip=198.51.100.1",
    "%43lientIP=198.51.100.2",
    "%63lientip=",
    "OptPlatform=iOS",
    "OptPlatform=a+b",
    "Sign=abc",
    "Sign=",
    "%53ign=def",
    "RequestTime=1670574414",
    "requesttime=1%31",
    "x=ClientIP=1",
    "",
    "=",
)


def read(text: str) -> tuple[str, str, str, str, tuple[str, str, str]]:
    """What counts of a query, without its text."""
    query = parse_query(text)
    return query.app_id, query.command, query.platform, query.client_ip, query.common.proof


def test_names_have_no_case_and_the_first_of_a_repeated_one_counts() -> None:
    parsed = parse_query(
        "sdkappid=1&SDKAPPID=2&callbackcommand=A%2eB&optplatform=a+b&CLIENTIP&sign=x&requesttime=7&y=z"
    )
    assert told(parsed) == (f"?{parsed.raw}", "1", "A.B", "a b", "", ("1", "x", "7"), False)


@pytest.mark.parametrize(
    ("line", "is_plain"),
    [
        ("POST /?a=b", True),
        ("POST /?a=b&ClientIP=203.0.113.7&c=d", True),
        ("POST /?a=b&ClientIP=2001:db8::7", True),
        ("POST /?a=b&ClientIP=%ff+", True),
        ("POST /?a=b&ClientIP=1\u00e4", False),
        ("POST /?a=\u00e4&ClientIP=1", False),
        ("POST /?a=\udcff&ClientIP=1", False),
        ("POST /?a=b&ClientIP=1\x7f&c=d", False),
        ("POST /?a=b&ClientIP=1 2&c=d", False),
        ("POST /?a=b c&ClientIP=1", False),
        ("POST x/?a=b", False),
        ("POST  /?a=b", False),
        ("POST", False),
        ("/?a=b&ClientIP=1", False),
        ("GET /?a=b&ClientIP=1", False),
        ("", False),
    ],
)
def test_a_plain_line_is_that_of_a_post_with_visible_characters(line: str, is_plain: bool) -> None:
    assert query_of(line).common.is_plain is is_plain


def test_the_old_webhook_names_its_command_differently() -> None:
    assert parse_query("sdkappid=1&command=call_end").command == "call_end"


def test_what_was_read_of_other_queries_changes_nothing() -> None:
    chance = random.Random(1)
    cut = 0
    for _ in range(10_000):
        text = "&".join(chance.choices(PAIRS, k=chance.randint(1, 8)))
        for address in (
            "203.0.113.7",
            "7",
            "2001:db8::7",
            "",
            chance.choice(("a b", "%31", "g", "1&ClientIP=2", "7" * 46)),
        ):
            line = f"?{text.replace('203.0.113.7', address, 1)}"
            found = query_of(line)
            assert told(found) == told(queries._read(line.encode())), line
            cut += found.address != ""
    assert cut > 3_000
    assert queries._common.cache_info().currsize == queries.MAX_REMEMBERED


@pytest.mark.parametrize("number", [MAX_PARAMETERS - 3, MAX_PARAMETERS - 2, MAX_PARAMETERS - 1, MAX_PARAMETERS])
def test_of_hundreds_of_parameters_the_first_ones_count(number: int) -> None:
    many = "&".join(["a"] * number)
    assert read(f"{many}&ClientIP=1&OptPlatform=iOS")[2:4] == (
        "iOS" if number < MAX_PARAMETERS - 1 else "",
        "1" if number < MAX_PARAMETERS else "",
    )
    assert parse_query(f"ClientIP=1&{many}&ClientIP=2").client_ip == "1"


def test_callbacks_that_differ_in_their_clients_only_are_read_once_and_long_ones_not_remembered() -> None:
    queries._common.cache_clear()
    for number in range(100):
        signed = recalled("ann").signed(ClientIP=f"203.0.113.{number}", request_time=1670574414)
        assert parse_query(signed.removeprefix("?")).client_ip == f"203.0.113.{number}"
    assert queries._common.cache_info().misses == 1
    assert parse_query(f"x={'y' * MAX_REMEMBERED_BYTES}&ClientIP=1").client_ip == "1"
    assert queries._common.cache_info().misses == 1


@pytest.mark.parametrize("name", ["a", "\U0001f600"])
def test_nobody_fills_the_memory_with_names_that_are_keys_of_what_is_remembered(name: str) -> None:
    parsed = parse_query(f"CallbackCommand={name * 9_000}&OptPlatform={name * 9_000}")
    assert (parsed.command, parsed.platform) == (name * MAX_NAME_CHARS, name * MAX_NAME_CHARS)
    assert parse_query(f"command={name * 9_000}").command == name * MAX_NAME_CHARS
    for behind in ("", ",", "\udcff"):  # As strict JSON, and as what has to be mended.
        body = f'{{"CallbackCommand":"{name * 9_000}"{behind}}}'.encode(errors="surrogateescape")
        assert command_in(body) in {name * MAX_NAME_CHARS, ""}
    assert command_in(f'{{"CallbackCommand":"{name * 9_000}"}}'.encode()) == name * MAX_NAME_CHARS
