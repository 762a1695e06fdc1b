"""The call of the platform's REST API, against a server of our own that answers as the platform does."""

from __future__ import annotations

import traceback

import aiohttp
import pytest
from pydantic import SecretStr

from common.rest.api import MAX_REPLY_BYTES, CallError, RestApi
from common.rest.app import ImApp
from consumers.reconcile.rest import unread_count
from tests.support.im_platform import APP_ID, SECRET_KEY, ImPlatform


@pytest.mark.parametrize(
    ("host_answers", "error_class"), [("http:502", "failing"), (60002, "refused"), (60011, "busy"), (90012, "account")]
)
async def test_a_failed_call_says_what_is_wrong(
    platform: ImPlatform, host_answers: int | str, error_class: str
) -> None:
    platform.fault = lambda _: host_answers
    error = await failed_call(platform.url)
    assert error.error_class == error_class
    assert error.code == (host_answers if isinstance(host_answers, int) else None)
    assert str(host_answers).removeprefix("http:") in str(error)


async def test_a_platform_that_is_slow_or_away_is_failing(platform: ImPlatform) -> None:
    platform.delay_s = 5
    assert (await failed_call(platform.url, timeout_s=0.2)).error_class == "failing"
    assert (await failed_call("http://127.0.0.1:1")).error_class == "failing"


async def test_no_error_shows_the_signature_though_the_errors_of_the_client_show_the_whole_address() -> None:
    with pytest.raises(aiohttp.ClientError, match="usersig=secret"):
        async with aiohttp.ClientSession() as session:
            await session.post("ftp://127.0.0.1/?usersig=secret")
    unchecked = ImApp.model_construct(
        secret_key=SecretStr(SECRET_KEY), identifier="administrator", host="ftp://127.0.0.1"
    )
    error = await failed_call(unchecked)
    assert error.error_class == "failing"
    assert "usersig" not in "".join(traceback.format_exception(error))


async def failed_call(host: str | ImApp, *, timeout_s: float = 2) -> CallError:
    app = ImApp.model_validate({"secret_key": SECRET_KEY, "host": host}) if isinstance(host, str) else host
    async with aiohttp.ClientSession() as session:
        with pytest.raises(CallError) as caught:
            await unread_count(RestApi(session, APP_ID, lambda: app, timeout_s=timeout_s), "ann")
    return caught.value


async def call(platform: ImPlatform, account: str, *apps: ImApp) -> list[int]:
    """The counts that an account has, asked for with these credentials one after the other, over one RestApi."""
    current = list(apps)
    async with aiohttp.ClientSession() as session:
        api = RestApi(session, APP_ID, lambda: current[0], timeout_s=2)
        counts = []
        for app in apps:
            current[0] = app
            counts.append(await unread_count(api, account))
    return counts


@pytest.mark.parametrize(
    ("number", "shown"), [(2**40, "no count can be"), (2**31, "no count can be"), (-1, "no count can be")]
)
async def test_a_number_that_no_count_can_be_is_no_answer(platform: ImPlatform, number: int, shown: str) -> None:
    platform.counts["ann"] = number
    error = await failed_call(platform.url)
    assert error.error_class == "failing"
    assert shown in str(error)


@pytest.mark.parametrize("number", [0, 7, 2**31 - 1])
async def test_any_number_that_a_count_can_be_is_taken(platform: ImPlatform, number: int) -> None:
    platform.counts["ann"] = number
    app = ImApp.model_validate({"secret_key": SECRET_KEY, "host": platform.url})
    assert await call(platform, "ann", app) == [number]


async def test_information_that_a_gateway_writes_as_null_is_none(platform: ImPlatform) -> None:
    platform.raw_reply = b'{"ErrorCode":0,"ErrorInfo":null,"AllC2CUnreadMsgNum":7.0}'
    app = ImApp.model_validate({"secret_key": SECRET_KEY, "host": platform.url})
    assert await call(platform, "ann", app) == [7]


async def test_a_reply_without_end_is_not_read_on(platform: ImPlatform) -> None:
    platform.raw_reply = b'{"ErrorCode":0,"ErrorInfo":"' + b"x" * (4 * MAX_REPLY_BYTES)
    error = await failed_call(platform.url)
    assert error.error_class == "failing"
    assert f"more than {MAX_REPLY_BYTES} bytes" in str(error)


async def test_what_the_platform_says_reaches_the_log_in_one_line_and_harmless(platform: ImPlatform) -> None:
    platform.raw_reply = b'{"ErrorCode":60002,"ErrorInfo":"bad\\n2026-01-01 ERROR forged \\u001b[2J\\u202e"}'
    error = await failed_call(platform.url)
    assert error.error_class == "refused"
    assert str(error).isprintable()
    assert "bad 2026-01-01 ERROR forged" in str(error)


async def test_a_key_that_was_replaced_signs_the_next_call(platform: ImPlatform) -> None:
    platform.counts["ann"] = 3
    wrong = ImApp.model_validate({"secret_key": "replaced", "host": platform.url})
    right = ImApp.model_validate({"secret_key": SECRET_KEY, "host": platform.url})
    assert await call(platform, "ann", right, right) == [3, 3]
    with pytest.raises(CallError):
        await call(platform, "ann", right, wrong)
