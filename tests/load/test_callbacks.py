"""The requests of `bridge load`."""

from __future__ import annotations

import math
from collections import Counter

import orjson
import pytest
from yarl import URL

from bridge.devstack.posting import Credentials, UsageError
from bridge.load.callbacks import Callbacks, Flaw
from bridge.load.plan import Burst, LoadPlan, read_mix
from bridge.load.tally import Tally, percentile

SIGNERS = [Credentials("1", "a"), Credentials("2", "b")]


def plan(**changes: object) -> LoadPlan:
    defaults: dict[str, object] = {
        "url": "http://h/",
        "signers": SIGNERS,
        "rate": 1.0,
        "seconds": 1.0,
        "mix": read_mix([]),
    }
    return LoadPlan(**(defaults | changes))  # type: ignore[arg-type]


def test_no_two_are_alike_and_all_apps_and_commands_have_their_share() -> None:
    callbacks = Callbacks(plan(mix={"State.StateChange": 3, "C2C.CallbackAfterSendMsg": 1}), seed=1)
    made = [callbacks.make() for _ in range(400)]
    assert len({(one.url, one.body) for one in made}) == 400
    queries = [URL(one.url).query for one in made]
    assert Counter(query["SdkAppid"] for query in queries) == {"1": 200, "2": 200}
    commands = Counter(query["CallbackCommand"] for query in queries)
    assert commands.keys() == {"State.StateChange", "C2C.CallbackAfterSendMsg"}
    assert 250 < commands["State.StateChange"] < 350
    assert len({query["ClientIP"] for query in queries}) > 390


def test_they_are_about_as_many_accounts_as_wanted() -> None:
    callbacks = Callbacks(plan(mix={"C2C.CallbackAfterSendMsg": 1}, accounts=2), seed=1)
    accounts = {orjson.loads(callbacks.make().body)["To_Account"] for _ in range(100)}
    assert {name.rpartition("-")[2] for name in accounts} == {"0", "1"}


def test_the_wanted_share_is_malformed_in_both_ways() -> None:
    callbacks = Callbacks(plan(malformed=0.5), seed=1)
    flaws = Counter(callbacks.make().flaw for _ in range(400))
    assert flaws.keys() == set(Flaw)
    assert 150 < flaws[Flaw.NONE] < 250


def test_an_app_without_a_token_gets_no_wrong_signatures() -> None:
    callbacks = Callbacks(plan(malformed=1.0, signers=[Credentials("1", None)]), seed=1)
    assert {callbacks.make().flaw for _ in range(50)} == {Flaw.BROKEN_BODY}


def test_processes_share_rate_bursts_and_connections() -> None:
    whole = plan(rate=100, burst=Burst(10, 5), connections=64)
    shares = [whole.share(number, 4) for number in range(4)]
    assert {(shared.rate, shared.connections) for shared in shares} == {(25, 16)}
    assert [shared.burst and shared.burst.size for shared in shares] == [3, 3, 2, 2]
    assert [plan(burst=Burst(1, 5)).share(number, 2).burst for number in range(2)] == [Burst(1, 5), None]


def test_a_mix_without_shares_has_equal_ones() -> None:
    assert read_mix(["State.StateChange", "C2C.CallbackAfterSendMsg=2"]) == {
        "State.StateChange": 1,
        "C2C.CallbackAfterSendMsg": 2,
    }


@pytest.mark.parametrize("text", ["Nothing", "State.StateChange=x", "State.StateChange=-1", "State.StateChange=1e7"])
def test_a_mix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--mix"):
        read_mix([text])


def test_times_are_exact_to_a_tenth_of_a_millisecond_whatever_processes_they_come_from() -> None:
    both = Tally(due=3)
    for seconds in ((0.001, 0.002), (0.9,)):
        one = Tally()
        for second in seconds:
            one.note("acknowledged", seconds=second, late_s=0.0)
        both.add(one)
    assert [percentile(both.steps, share) for share in (0.33, 0.5, 1.0)] == pytest.approx([0.001, 0.002, 0.9])
    assert percentile({}, 0.5) is None
    assert both.is_as_expected
    assert math.isclose(percentile(both.late_steps, 1.0) or 0.0, 0.0)


def test_a_callback_without_a_reply_or_with_a_wrong_one_is_not_as_expected() -> None:
    for outcome in ("busy", "refused", "no reply", "not connected"):
        tally = Tally(due=1)
        tally.note(outcome, seconds=0.1, late_s=0.0, surprise="it was")
        assert not tally.is_as_expected
    assert not Tally(due=1).is_as_expected
