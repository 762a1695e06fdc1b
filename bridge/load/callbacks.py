"""The requests of a load: no two are alike, and some are as they should not be."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from itertools import cycle
from typing import NamedTuple

from bridge.contract.fresh import fresh
from bridge.contract.samples import find_sample
from bridge.devstack.posting import signed_url
from bridge.load.plan import LoadPlan

SIGN = "Sign="


class Flaw(Enum):
    """What is wrong with a request."""

    NONE = "nothing"
    BROKEN_BODY = "half of its body is missing: it is kept as a dead letter, and acknowledged"
    WRONG_SIGNATURE = "it is signed by somebody else: it is refused"

    @property
    def status(self) -> HTTPStatus:
        """What it has to be answered."""
        return HTTPStatus.FORBIDDEN if self is Flaw.WRONG_SIGNATURE else HTTPStatus.OK


class LoadRequest(NamedTuple):
    """A request, ready to be posted."""

    url: str
    body: bytes
    flaw: Flaw


class Callbacks:
    """Makes one request after the other. Chance decides, by a generator of its own.

    Args:
        plan: what is wanted.
        seed: other processes have other ones, else they would post the same.
    """

    def __init__(self, plan: LoadPlan, seed: int) -> None:
        self._plan = plan
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._samples = [sample for name in plan.mix if (sample := find_sample(name))]
        self._shares = list(plan.mix.values())
        self._signers = cycle(plan.signers)

    def make(self) -> LoadRequest:
        """The next request, signed for this second."""
        chance = self._chance
        (sample,) = chance.choices(self._samples, self._shares)
        body = fresh(sample.body, rename=self._renamed())
        address = ".".join(str(chance.randrange(1, 255)) for _ in range(4))
        url = signed_url(self._plan.url, next(self._signers), sample.command, client_ip=address)
        if chance.random() >= self._plan.malformed:
            return LoadRequest(url, body, Flaw.NONE)
        if chance.random() < 0.5 and SIGN in url:
            return LoadRequest(url.replace(SIGN, f"{SIGN}0", 1), body, Flaw.WRONG_SIGNATURE)
        return LoadRequest(url, body[: len(body) // 2], Flaw.BROKEN_BODY)

    def _renamed(self) -> Callable[[str], str]:
        """Gives accounts and groups other names: as many as the plan says, and equal ones stay equal."""
        number = self._chance.randrange(self._plan.accounts)

        def rename(name: str) -> str:
            return f"{name}-{number}"

        return rename
