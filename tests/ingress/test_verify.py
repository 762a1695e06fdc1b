"""Verification, case by case."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.ingress import refusals
from bridge.ingress import verify as verification
from bridge.ingress.refusals import Refusal
from bridge.ingress.verify import Verifier, sign
from bridge.query import MAX_PARAMETERS, parse_query
from bridge.settings import BridgeSettings

APP, TOKEN, NOW = "1400000000", "xxxxyyyy", 1669872112
DOCUMENTED = "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061"


def verify(query: str, *tokens: str, now: float = NOW) -> Refusal | None:
    verifier = Verifier({APP: tokens or (TOKEN,), "1400000009": ()}, max_skew_s=60, max_stale_s=3600, now=lambda: now)
    return verifier.verify(parse_query(query)).refusal


def query(app: str = APP, signature: str = DOCUMENTED, time: object = NOW) -> str:
    return f"SdkAppid={app}&CallbackCommand=X&Sign={signature}&RequestTime={time}"


def test_the_documented_vector_is_accepted() -> None:
    assert sign(TOKEN, str(NOW)) == DOCUMENTED
    assert verify(query()) is None


def test_the_wrong_vector_that_circulates_is_refused() -> None:
    assert verify(query(), "xxxyyy") is refusals.BAD_SIGNATURE


def test_either_of_two_tokens_is_accepted_and_upper_case_hex_too() -> None:
    assert verify(query(), "new", TOKEN) is None
    assert verify(query(), TOKEN, "new") is None
    assert verify(query(signature=DOCUMENTED.upper())) is None


@pytest.mark.parametrize(
    ("skew", "refusal"),
    [
        (60, None),
        (-60, None),
        (61, refusals.STALE_TIME),
        (-61, refusals.STALE_TIME),
        (3600, refusals.STALE_TIME),
        (-3600, refusals.STALE_TIME),
        (3601, refusals.EXPIRED),
        (-3601, refusals.EXPIRED),
        (30 * 86_400, refusals.EXPIRED),
    ],
)
def test_the_time_may_differ_by_the_window_to_either_side(skew: int, refusal: Refusal | None) -> None:
    assert verify(query(), now=NOW + skew) is refusal


@pytest.mark.parametrize("time", ["", "abc", "-1", "1e9", "\uff11\uff16", " 1669872112", "1669872112.0", "9" * 400])
def test_a_time_that_is_no_number_is_never_accepted(time: str) -> None:
    assert verify(query(signature=sign(TOKEN, time), time=time)) is not None


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many signatures were made so far, as its length."""
    made: list[int] = []
    really = hashlib.sha256

    def count(data: bytes) -> Any:
        made.append(len(data))
        return really(data)

    monkeypatch.setattr(hashlib, "sha256", count)
    return made


def test_any_of_many_tokens_is_accepted_the_last_too() -> None:
    tokens = [f"token-{number}" for number in range(50)]
    for token in tokens:
        assert verify(query(signature=sign(token, str(NOW))), *tokens) is None
    assert verify(query(signature=sign("token-50", str(NOW))), *tokens) is refusals.BAD_SIGNATURE


def test_a_signature_is_computed_for_an_app_that_there_is_not_as_for_one_that_there_is(hashes: list[int]) -> None:
    for app, wanted in (("1400000001", refusals.UNKNOWN_APP), (APP, refusals.BAD_SIGNATURE)):
        hashes.clear()
        assert verify(query(app=app, signature="0" * 64), "new", "old") is wanted
        assert verify(query(app=app, time=""), "new", "old") is not None
        assert len(hashes) == 2


def test_forged_callbacks_of_now_cost_the_signatures_of_each_second_once_however_many_tokens_there_are(
    hashes: list[int],
) -> None:
    tokens = [f"token-{number}" for number in range(100)]
    verifier = Verifier({APP: tokens}, max_skew_s=60, max_stale_s=3600, now=lambda: NOW)
    for number in range(1000):
        forged = f"{number:064x}"
        assert verifier.verify(parse_query(query(signature=forged))).refusal is refusals.BAD_SIGNATURE
        assert verifier.verify(parse_query(query(app="1", signature=forged))).refusal is refusals.UNKNOWN_APP
        assert verifier.verify(parse_query(query(signature=forged, time=NOW - 60))).refusal is refusals.BAD_SIGNATURE
    assert len(hashes) == 2 * 100
    assert verifier.verify(parse_query(query(signature=sign("token-99", str(NOW))))).refusal is None


@pytest.mark.parametrize("form", ["{}", "0{}", "00000000{}"])
def test_invented_times_cost_no_more_than_their_budget_in_a_second(form: str, hashes: list[int]) -> None:
    tokens = [f"token-{number}" for number in range(100)]
    clock = [float(NOW)]
    verifier = Verifier({APP: tokens}, max_skew_s=60, max_stale_s=3600, now=lambda: clock[0])
    outcomes = {
        verifier.verify(parse_query(query(signature="0" * 64, time=form.format(NOW + number)))).refusal
        for number in range(61, 3000)
    }
    assert outcomes == {refusals.BAD_SIGNATURE, refusals.STALE_NOT_CHECKED}
    assert len(hashes) == verification.STALE_HASHES_PER_S
    assert verifier.verify(parse_query(query(signature=sign("token-7", str(NOW))))).refusal is None, "of now"
    stale = query(signature=sign("token-7", str(NOW - 61)), time=NOW - 61)
    assert verifier.verify(parse_query(stale)).refusal is refusals.STALE_NOT_CHECKED
    clock[0] += 1
    assert verifier.verify(parse_query(stale)).refusal is refusals.STALE_TIME
    assert verifier.verify(parse_query(stale)).refusal is refusals.STALE_TIME


def test_a_time_with_leading_zeros_that_is_signed_so_is_accepted_as_it_always_was() -> None:
    text = f"00{NOW}"
    assert verify(query(signature=sign(TOKEN, text), time=text)) is None


@pytest.mark.parametrize("signature", ["", "0", DOCUMENTED[:-1], DOCUMENTED + "0", "\u0660" * 64, "x" * 30_000])
def test_what_has_not_the_form_of_a_signature_is_none(signature: str) -> None:
    assert verify(query(signature=signature)) in {refusals.BAD_SIGNATURE, refusals.SIGNATURE_MISSING}


def test_a_right_signature_is_remembered_but_not_beyond_the_window() -> None:
    clock = [NOW]
    verifier = Verifier({APP: [TOKEN]}, max_skew_s=60, max_stale_s=3600, now=lambda: clock[0])
    for skew, refusal in ((0, None), (60, None), (61, refusals.STALE_TIME), (0, None)):
        clock[0] = NOW + skew
        verdict = verifier.verify(parse_query(query()))
        assert (verdict.refusal, verdict.skew_s) == (refusal, -skew)
    assert verifier.verify(parse_query(query(time=NOW + 1))).refusal is refusals.BAD_SIGNATURE
    assert verifier.verify(parse_query(query(app="1400000009"))).refusal is refusals.UNKNOWN_APP


def test_an_app_without_a_token_needs_no_signature_and_an_unknown_one_is_refused() -> None:
    assert verify("SdkAppid=1400000009") is None
    assert verify("SdkAppid=1400000001") is refusals.UNKNOWN_APP
    assert verify("") is refusals.UNKNOWN_APP
    assert verify(f"SdkAppid={APP}") is refusals.SIGNATURE_MISSING


def test_tokens_that_were_replaced_hold_from_then_on_also_for_signatures_that_were_right_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "apps"
    file.write_text('{"1400000000":["first"]}')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BRIDGE_APPS_FILE", str(file))
    settings = BridgeSettings.model_validate({})
    verifier = Verifier.from_settings(settings)

    def refusal_of(token: str) -> Refusal | None:
        time_text = str(int(time.time()))
        query = f"SdkAppid=1400000000&Sign={sign(token, time_text)}&RequestTime={time_text}"
        return verifier.verify(parse_query(query)).refusal

    assert refusal_of("first") is None
    file.write_text('{"1400000000":["second","third","fourth","fifth","first"]}')
    verifier.use_tokens_of(settings.latest())
    assert (refusal_of("first"), refusal_of("second")) == (None, None)
    file.write_text('{"1400000000":["secon')
    verifier.use_tokens_of(settings.latest())
    assert (refusal_of("first"), refusal_of("second")) == (None, None), "what is wrong changes nothing"
    file.write_text('{"1400000000":["second"]}')
    verifier.use_tokens_of(settings.latest())
    assert (refusal_of("first"), refusal_of("second")) == (refusals.BAD_SIGNATURE, None)


def test_of_thousands_of_parameters_the_first_ones_count() -> None:
    many = "&".join(["%41=%41"] * MAX_PARAMETERS)
    assert verify(f"{query()}&{many}") is None
    assert verify(f"{many}&{query()}") is refusals.UNKNOWN_APP
