"""The call of the platform's REST API, against a server of our own that answers as the platform does."""

from __future__ import annotations

import traceback

import aiohttp
import pytest

from consumers.reconcile.rest import CallError, RestApi, classify
from consumers.settings import ImApp
from tests.support.im_platform import APP_ID, SECRET_KEY, ImPlatform


@pytest.mark.parametrize(
    ("codes", "error_class"),
    [
        ((60007, 60011, 60019), "busy"),
        ((60002, 60003, 60004, 60006, 60010, 60012, 60020, 70001, 70009, 70013, 90009), "refused"),
        ((70107, 90003, 90012, 90048), "account"),
        ((60008, 60009, 60014, 70169, 70500, 90992, 90994, 91000, 12345), "failing"),
    ],
)
def test_error_codes_have_the_class_that_says_what_to_do(codes: tuple[int, ...], error_class: str) -> None:
    assert {classify(code) for code in codes} == {error_class}


@pytest.mark.parametrize(
    ("host_answers", "error_class"), [("http:502", "failing"), (60002, "refused"), (60011, "busy"), (90012, "account")]
)
async def test_a_failed_call_says_what_is_wrong(
    platform: ImPlatform, host_answers: int | str, error_class: str
) -> None:
    platform.fault = lambda _: host_answers
    error = await failed_call(platform.url)
    assert error.error_class == error_class
    assert str(host_answers).removeprefix("http:") in str(error)


async def test_a_platform_that_is_slow_or_away_is_failing(platform: ImPlatform) -> None:
    platform.delay_s = 5
    assert (await failed_call(platform.url, timeout_s=0.2)).error_class == "failing"
    assert (await failed_call("http://127.0.0.1:1")).error_class == "failing"


async def test_no_error_shows_the_signature_though_the_errors_of_the_client_show_the_whole_address() -> None:
    with pytest.raises(aiohttp.ClientError, match="usersig=secret"):
        async with aiohttp.ClientSession() as session:
            await session.post("ftp://127.0.0.1/?usersig=secret")
    error = await failed_call("ftp://127.0.0.1")
    assert error.error_class == "failing"
    assert "usersig" not in "".join(traceback.format_exception(error))


async def failed_call(host: str, *, timeout_s: float = 2) -> CallError:
    app = ImApp.model_validate({"secret_key": SECRET_KEY, "host": host})
    async with aiohttp.ClientSession() as session:
        with pytest.raises(CallError) as caught:
            await RestApi(session, APP_ID, app, timeout_s=timeout_s).unread("ann")
    return caught.value
