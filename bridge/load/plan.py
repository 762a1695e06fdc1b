"""What is to be posted: how much, which callbacks, in whose name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from bridge.contract.samples import find_sample
from bridge.devstack.posting import Credentials, UsageError

PLATFORM_WAITS_S = 2.0
"""So long the platform waits for a reply, then it hangs up."""
MAX_SHARE = 1_000_000
USUAL_MIX: Mapping[str, float] = {
    "C2C.CallbackAfterSendMsg": 45,
    "Group.CallbackAfterSendMsg": 25,
    "State.StateChange": 15,
    "C2C.CallbackAfterMsgReadReceipt": 10,
    "C2C.CallbackAfterMsgWithDraw": 5,
}
"""Command → share, of an app in which people chat: an assumption, not a measurement."""


class Burst(msgspec.Struct, frozen=True):
    """Callbacks that are due all at once, again and again, beside the others."""

    size: int
    every_s: float


class LoadPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What one process posts."""

    url: str
    signers: Sequence[Credentials]
    """In turn: as many apps."""
    rate: float
    """Callbacks a second, at times of their own: their distances are those of independent users."""
    seconds: float
    mix: Mapping[str, float]
    """Command → share, of any sum."""
    malformed: float = 0.0
    """Share of what is to be refused, or to become a dead letter: 0 to 1."""
    burst: Burst | None = None
    accounts: int = 100_000
    """So many accounts and groups the callbacks are about."""
    connections: int = 256
    """At most so many at a time."""

    def share(self, number: int, processes: int) -> LoadPlan:
        """What one of so many processes posts, whose numbers are from 0 on."""
        burst = self.burst
        if burst is not None:
            size = burst.size // processes + (number < burst.size % processes)
            burst = Burst(size, burst.every_s) if size else None
        connections = max(1, self.connections // processes)
        return msgspec.structs.replace(self, rate=self.rate / processes, burst=burst, connections=connections)


def read_mix(shares: Sequence[str]) -> dict[str, float]:
    """The mix that is written as `COMMAND=SHARE`, such as `State.StateChange=20`; without a share it has one of 1.

    Raises:
        UsageError: no such callback is documented, or the share is no number above 0 and up to MAX_SHARE.
    """
    mix: dict[str, float] = {}
    for text in shares:
        name, equals, share = text.partition("=")
        sample = find_sample(name)
        if sample is None:
            raise UsageError(f"--mix {text}: no documented body is named {name}; `bridge send` lists them")
        try:
            number = float(share) if equals else 1.0
        except ValueError:
            number = 0.0
        if not 0 < number <= MAX_SHARE:
            raise UsageError(
                f"--mix {text}: the share is a number above 0 and up to {MAX_SHARE:,}, as in {sample.command}=20"
            )
        mix[name] = mix.get(name, 0) + number
    return mix or dict(USUAL_MIX)
