"""How long what the platform named stays accepted, and what of it is kept."""

from __future__ import annotations

import ipaddress
import math

import pytest

from bridge.ingress import known_networks
from bridge.ingress.known_networks import Change, KnownNetworks, ListId

CHINA, ABROAD = ListId("1400000000", "5"), ListId("1400000000", "6")
DAY_S = 86_400


class SetClock:
    """The time that the module goes by."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    made = SetClock()
    monkeypatch.setattr(known_networks, "time", made)
    return made


def merge(known: KnownNetworks, *networks: str, list_id: ListId = CHINA, keep_s: float = DAY_S) -> Change:
    return known.merge(list_id, map(ipaddress.ip_network, networks), keep_s)


def accepted(known: KnownNetworks, *lists: ListId) -> list[str] | None:
    networks = known.networks(lists or [CHINA])
    return None if networks is None else sorted(str(network) for network in networks)


def test_a_network_that_is_named_no_more_is_accepted_until_it_has_been_missing_for_so_long(clock: SetClock) -> None:
    known = KnownNetworks()
    assert accepted(known) is None
    merge(known, "203.0.113.0/24", "203.0.114.7/32")
    clock.now += 10 * DAY_S  # Nobody could be asked.
    change = merge(known, "203.0.113.0/24")
    assert change == Change(1, 2, [], ["203.0.114.7/32"], [])
    clock.now += DAY_S - 1
    assert merge(known, "203.0.113.0/24") == Change(1, 1, [], [], [])
    assert accepted(known) == ["203.0.113.0/24", "203.0.114.7/32"]
    clock.now += 1
    assert merge(known, "203.0.113.0/24") == Change(1, 1, [], [], ["203.0.114.7/32"])
    assert accepted(known) == ["203.0.113.0/24"]


def test_one_that_is_named_again_has_never_been_missing(clock: SetClock) -> None:
    known = KnownNetworks()
    merge(known, "203.0.113.0/24", "203.0.114.7/32")
    for _ in range(5):
        clock.now += DAY_S * 0.75
        merge(known, "203.0.113.0/24")
        clock.now += DAY_S * 0.75
        merge(known, "203.0.113.0/24", "203.0.114.7/32")
    assert accepted(known) == ["203.0.113.0/24", "203.0.114.7/32"]


def test_with_no_time_to_keep_it_the_last_answer_alone_counts() -> None:
    known = KnownNetworks()
    merge(known, "203.0.113.0/24", keep_s=0)
    assert merge(known, "203.0.114.0/24", keep_s=0).dropped == ["203.0.113.0/24"]
    assert accepted(known) == ["203.0.114.0/24"]


def test_a_clock_that_was_set_back_makes_nothing_last_for_ever(clock: SetClock) -> None:
    known = KnownNetworks()
    merge(known, "203.0.113.0/24", "203.0.114.7/32")
    merge(known, "203.0.113.0/24")
    clock.now -= 365 * DAY_S
    merge(known, "203.0.113.0/24")
    assert known.age_s([CHINA]) == 0
    clock.now += DAY_S
    assert merge(known, "203.0.113.0/24").dropped == ["203.0.114.7/32"]


def test_answers_that_are_all_different_are_bounded(clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_networks, "MAX_NETWORKS", 10)
    known = KnownNetworks()
    for number in range(100):
        clock.now += 1
        merge(known, *(f"203.{number}.{last}.0/24" for last in range(5)))
    found = accepted(known)
    assert found is not None
    assert len(found) == 15
    assert {network.split(".")[1] for network in found} == {"97", "98", "99"}, "the latest"


def test_as_long_as_one_kind_of_list_has_never_come_nothing_is_known(clock: SetClock) -> None:
    known = KnownNetworks()
    merge(known, "203.0.113.0/24")
    assert accepted(known, CHINA, ABROAD) is None
    assert known.age_s([CHINA, ABROAD]) == math.inf
    merge(known, "198.51.100.0/24", list_id=ABROAD)
    assert accepted(known, CHINA, ABROAD) == ["198.51.100.0/24", "203.0.113.0/24"]
    assert accepted(known, CHINA) == ["203.0.113.0/24"]
    clock.now += 60
    merge(known, "203.0.113.0/24")
    assert known.age_s([CHINA, ABROAD]) == 60


def test_a_list_in_the_name_of_another_app_holds_until_there_is_one_of_ours() -> None:
    known = KnownNetworks()
    merge(known, "203.0.113.0/24", list_id=ListId("1400000009", "5"))
    assert accepted(known) == ["203.0.113.0/24"]
    assert accepted(known, ABROAD) is None
    merge(known, "203.0.114.0/24")
    assert accepted(known) == ["203.0.114.0/24"]


def test_lists_that_nobody_asks_for_are_forgotten_when_they_are_old(clock: SetClock) -> None:
    known = KnownNetworks()
    merge(known, "203.0.113.0/24", list_id=ListId("1400000009", "5"))
    clock.now += 6 * DAY_S
    merge(known, "203.0.114.0/24")
    known.forget_others([CHINA])
    assert known.lists.keys() == {"1400000009/5", "1400000000/5"}
    clock.now += 2 * DAY_S
    known.forget_others([CHINA])
    assert known.lists.keys() == {"1400000000/5"}
    clock.now += 365 * DAY_S
    known.forget_others([CHINA])
    assert accepted(known) == ["203.0.114.0/24"], "ours never"


def test_however_many_lists_there_are_ours_are_kept_and_of_others_the_newest(
    clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_networks, "MAX_OTHERS", 2)
    known = KnownNetworks()
    ours = [ListId(str(number), "5") for number in range(5)]
    for list_id in (*ours, *(ListId(str(number), "5") for number in range(5, 9))):
        merge(known, "203.0.113.0/24", list_id=list_id)
        clock.now += 1
    known.forget_others(ours)
    assert known.lists.keys() == {"0/5", "1/5", "2/5", "3/5", "4/5", "7/5", "8/5"}
