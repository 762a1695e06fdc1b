"""How many connections a process may have under its limit of open files."""

from __future__ import annotations

import resource

import pytest

from bridge.process.descriptors import RESERVE, most_connections, raise_limit
from tests.support.ingress_parts import settings


class Limit:
    """The limit of open files, as the process sees it."""

    def __init__(self, soft: int, hard: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = soft, hard
        monkeypatch.setattr(resource, "getrlimit", lambda _which: self.now)
        monkeypatch.setattr(resource, "setrlimit", self._set)

    def _set(self, _which: int, limit: tuple[int, int]) -> None:
        assert limit[1] == self.now[1], "only the superuser may change it"
        self.now = limit


@pytest.mark.parametrize(
    ("limits", "expected", "raised"),
    [
        ((100_000, 100_000), 5000, 100_000),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 5000, resource.RLIM_INFINITY),
        ((1024, resource.RLIM_INFINITY), 5000, resource.RLIM_INFINITY),
        ((1024, 100_000), 5000, 100_000),
        ((1024, 2048), 2048 - RESERVE, 2048),
        ((1024, 1024), 1024 - RESERVE, 1024),
    ],
)
def test_connections_leave_a_reserve_under_the_limit_which_is_raised_as_far_as_it_can_be(
    limits: tuple[int, int],
    expected: int,
    raised: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    limit = Limit(*limits, monkeypatch)
    raise_limit()
    assert most_connections(settings(max_connections=5000)) == expected
    assert limit.now[0] == raised
    assert ("BRIDGE_MAX_CONNECTIONS is 5000" in caplog.text) == (expected < 5000)


def test_a_limit_that_the_kernel_gives_to_nobody_stays_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = Limit(1024, resource.RLIM_INFINITY, monkeypatch)

    def refuse(_which: int, _limit: tuple[int, int]) -> None:
        raise PermissionError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    raise_limit()
    assert limit.now[0] == 1024
    assert most_connections(settings(max_connections=5000)) == 1024 - RESERVE


def test_endpoints_that_decide_need_descriptors_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Limit(1024, 1024, monkeypatch)
    deciding = settings(decision_urls={"C2C.CallbackBeforeSendMsg": "http://x"}, decision_connections=50)
    assert most_connections(deciding) == 1024 - RESERVE - 50


def test_a_limit_that_leaves_no_room_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    Limit(64, 64, monkeypatch)
    with pytest.raises(OSError, match=r"limit of open files is 64.*ulimit -n"):
        most_connections(settings())
