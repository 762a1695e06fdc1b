"""What the platform answers when it is asked which networks it calls from, and what of it can be right."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bridge.ingress.ip_list import (
    MAX_ANSWER_BYTES,
    MAX_NETWORKS,
    NamedNetworks,
    UnusableAnswerError,
    ask_for_networks,
    read_ip_list,
)
from common.rest.api import CallError, RestApi, rest_session
from common.rest.app import ImApp
from tests.support.im_platform import ADMIN, APP_ID, SECRET_KEY, ImPlatform, signature_fault


def named(*entries: object) -> list[str]:
    return sorted(map(str, read_ip_list(list(entries)).networks))


def test_the_documented_answer_mixes_addresses_and_networks() -> None:
    assert named("127.0.0.2", "183.192.202.0/25") == ["127.0.0.2/32", "183.192.202.0/25"]


@pytest.mark.parametrize(
    ("entry", "network"),
    [
        (" 203.0.113.7\n", "203.0.113.7/32"),
        ("203.0.113.7/24", "203.0.113.0/24"),
        ("203.0.113.0/255.255.255.0", "203.0.113.0/24"),
        ("2001:DB8::/48", "2001:db8::/48"),
        ("2001:db8::7", "2001:db8::7/128"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("1.0.0.0/12", "1.0.0.0/12"),
    ],
)
def test_each_form_of_an_address_or_a_network_is_read(entry: str, network: str) -> None:
    assert named(entry) == [network]


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("0.0.0.0/0", "0.0.0.0/0 is too wide: /12 is the widest"),
        ("128.0.0.0/1", "too wide"),
        ("1.0.0.0/11", "too wide"),
        ("::/0", "too wide: /24 is the widest"),
        ("2000::/3", "too wide"),
        ("::ffff:0:0/96", "0.0.0.0/0 is too wide"),
        ("127.0.0.0/8", "too wide"),
        ("10.1.2.3", "10.1.2.3/32 is private or reserved"),
        ("172.16.0.0/12", "private or reserved"),
        ("192.168.1.0/24", "private or reserved"),
        ("100.64.0.1", "private or reserved"),
        ("169.254.0.0/16", "private or reserved"),
        ("0.0.0.0", "private or reserved"),
        ("255.255.255.255", "private or reserved"),
        ("224.0.0.1", "private or reserved"),
        ("192.160.0.0/12", "private or reserved"),
        ("fe80::1", "private or reserved"),
        ("fd00::/24", "private or reserved"),
        ("::", "private or reserved"),
        ("::ffff:10.0.0.1", "10.0.0.1/32 is private or reserved"),
        ("", "'' is no network"),
        ("gateway.example", "'gateway.example' is no network"),
        ("203.0.113.1-203.0.113.9", "is no network"),
        ("203.0.113.0/33", "is no network"),
        ("203.0.113.7:443", "is no network"),
        ("a\x1b[2J\n" + "b" * 100, r"a\\x1b[2J\\n"),
        (7, "7 is no text"),
        (None, "None is no text"),
        (["203.0.113.7"], "is no text"),
        ({"IP": "203.0.113.7"}, "is no text"),
    ],
)
def test_one_bad_entry_is_told_and_the_good_ones_hold(entry: object, why: str) -> None:
    answer = read_ip_list(["203.0.113.7", entry])
    assert sorted(map(str, answer.networks)) == ["203.0.113.7/32"]
    (problem,) = answer.problems
    assert why in problem
    assert problem.isprintable()
    assert len(problem) < 200
    with pytest.raises(UnusableAnswerError, match="nothing that can be a network of the platform"):
        read_ip_list([entry])


def test_an_answer_of_nothing_or_of_more_than_servers_can_have_is_no_answer() -> None:
    with pytest.raises(UnusableAnswerError, match="names no network"):
        read_ip_list([])
    with pytest.raises(UnusableAnswerError, match=f"names {MAX_NETWORKS + 1} networks"):
        read_ip_list([f"203.{number // 256}.{number % 256}.0/24" for number in range(MAX_NETWORKS + 1)])
    with pytest.raises(UnusableAnswerError, match="too many to be those of some servers"):
        read_ip_list([f"{number}.0.0.0/12" for number in range(20, 60)])


async def ask(platform: ImPlatform, nettype: str = "5", *, timeout_s: float = 5, **credentials: str) -> NamedNetworks:
    app = ImApp.model_validate({"secret_key": SECRET_KEY, "host": platform.url, **credentials})
    async with rest_session() as session:
        return await ask_for_networks(RestApi(session, APP_ID, lambda: app, timeout_s=timeout_s), nettype)


async def test_the_list_that_is_asked_for_is_given_in_the_name_of_an_administrator(platform: ImPlatform) -> None:
    platform.networks = {"5": ["203.0.113.7"], "6": ["198.51.100.0/24"]}
    assert list(map(str, (await ask(platform, "5")).networks)) == ["203.0.113.7/32"]
    assert list(map(str, (await ask(platform, "6")).networks)) == ["198.51.100.0/24"]
    with pytest.raises(CallError, match="error 70009") as wrong:
        await ask(platform, secret_key="another")
    with pytest.raises(CallError, match="error 50003") as stranger:
        await ask(platform, identifier="ann")
    assert (wrong.value.error_class, stranger.value.error_class) == ("refused", "refused")
    assert ADMIN == "administrator"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        (b"", "answers with something else"),
        (b"<html>", "answers with something else"),
        (b"\xff\xfe", "answers with something else"),
        (b'{"ActionStatus":"OK"}', "answers with something else"),
        (b'{"ErrorCode":0,"IPList":"203.0.113.7"}', "answers with something else"),
        (b'{"ErrorCode":0,"IPList":{"203.0.113.7":1}}', "answers with something else"),
        (b"[" * 100_000, "answers with something else"),
        (b'{"ErrorCode":0,"IPList":[' + b'"203.0.113.7",' * 50_000, f"more than {MAX_ANSWER_BYTES} bytes"),
    ],
)
async def test_what_is_no_answer_is_a_failure(platform: ImPlatform, reply: bytes, told: str) -> None:
    platform.raw_reply = reply
    with pytest.raises(CallError, match=told) as caught:
        await ask(platform)
    assert caught.value.error_class == "failing"


@pytest.mark.parametrize("reply", [{"ErrorCode": 0}, {"ErrorCode": 0, "IPList": None}, {"ErrorCode": 0, "IPList": []}])
async def test_an_answer_without_networks_is_of_no_use(platform: ImPlatform, reply: dict[str, Any]) -> None:
    platform.raw_reply = orjson.dumps(reply)
    with pytest.raises(UnusableAnswerError, match="names no network"):
        await ask(platform)


async def test_an_answer_of_many_networks_is_read(platform: ImPlatform) -> None:
    platform.networks["5"] = [f"203.{number // 256}.{number % 256}.0/24" for number in range(MAX_NETWORKS)]
    assert len((await ask(platform)).networks) == MAX_NETWORKS


async def test_the_signature_reaches_no_log_though_an_answer_repeats_it(
    platform: ImPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = "eJw-secret_signature*"
    monkeypatch.setattr("common.rest.api.user_sig", lambda *_, **__: signature)
    assert signature_fault(signature) != 0
    platform.raw_reply = orjson.dumps({"ErrorCode": 70003, "ErrorInfo": f"bad usersig {signature}!"})
    with pytest.raises(CallError, match="bad usersig …!") as caught:
        await ask(platform)
    assert signature not in str(caught.value)
