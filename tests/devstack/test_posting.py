"""Callbacks that are posted as the platform does."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from bridge.devstack.posting import CallbackReply, Credentials, UsageError, credentials, signed_url
from bridge.settings import DEV_APP, DEV_TOKEN, DeveloperSettings
from common.settings import load_settings
from tests.support.callbacks import APP_ID, SENT, TOKEN, sign


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRIDGE_APPS", raising=False)


def test_a_url_is_signed_as_documented_and_keeps_what_it_has() -> None:
    parts = urlsplit(signed_url("http://127.0.0.1:8080/im?own=1", Credentials(APP_ID, TOKEN), SENT))
    query = {name: value for name, (value,) in parse_qs(parts.query).items()}
    assert (parts.netloc, parts.path) == ("127.0.0.1:8080", "/im")
    assert query["own"] == "1"
    assert (query["SdkAppid"], query["CallbackCommand"]) == (APP_ID, SENT)
    assert query["Sign"] == sign(TOKEN, query["RequestTime"])


@pytest.mark.parametrize("command", ["call_end", "caller_start_call", "takeSeat", "Call_End"])
def test_the_url_of_an_old_webhook_has_the_names_that_these_have(command: str) -> None:
    query = parse_qs(urlsplit(signed_url("http://127.0.0.1:8080", Credentials(APP_ID, TOKEN), command)).query)
    assert list(query) == ["sdkappid", "command", "contenttype", "clientip", "optplatform", "Sign", "RequestTime"]
    assert (query["sdkappid"], query["command"]) == ([APP_ID], [command])


def test_without_a_token_a_url_is_not_signed() -> None:
    assert "Sign" not in signed_url("http://127.0.0.1:8080", Credentials(APP_ID, None), SENT)


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8080", "ftp://127.0.0.1/", "http://", "http://[::1", "http://localhost:99999/", "http://localhost:x/"],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is no URL to post to"):
        signed_url(url, Credentials(APP_ID, TOKEN), SENT)


def test_credentials_are_those_given_else_the_first_of_the_settings_else_those_of_bridge_dev() -> None:
    apps = {"1": [SecretStr("first"), SecretStr("second")], "2": [], "3": [SecretStr("third")]}
    settings = load_settings(DeveloperSettings, apps=apps)
    assert credentials(load_settings(DeveloperSettings)) == (DEV_APP, DEV_TOKEN)
    assert credentials(settings) == ("1", "first")
    assert credentials(settings, "2") == ("2", None)
    assert credentials(settings, "3") == ("3", "third")
    assert credentials(settings, "9", "given") == ("9", "given")
    with pytest.raises(UsageError, match="BRIDGE_APPS has no app 9"):
        credentials(settings, "9")
    with pytest.raises(UsageError, match="BRIDGE_APPS is not set"):
        credentials(load_settings(DeveloperSettings), "9")


@pytest.mark.parametrize(
    ("status", "body", "accepted"),
    [
        (HTTPStatus.OK, b'{"ActionStatus":"OK","ErrorCode":0}', True),
        (HTTPStatus.OK, b'{"ActionStatus":"FAIL","ErrorCode":1}', False),
        (HTTPStatus.OK, b'{"ErrorCode":0,"ErrorMessage":""}', True),
        (HTTPStatus.OK, b'{"ErrorCode":1,"ErrorMessage":"no"}', False),
        (HTTPStatus.SERVICE_UNAVAILABLE, b'{"ErrorCode":0,"ErrorMessage":""}', False),
        (HTTPStatus.OK, b'{"ErrorCode":0}', False),
        (HTTPStatus.FORBIDDEN, b'{"ActionStatus":"OK"}', False),
        (HTTPStatus.OK, b"[]", False),
        (HTTPStatus.OK, b"hello", False),
    ],
)
def test_only_the_documented_reply_is_an_acknowledgement(status: HTTPStatus, body: bytes, accepted: bool) -> None:
    assert CallbackReply(status, "", body, 0.0).is_accepted is accepted
