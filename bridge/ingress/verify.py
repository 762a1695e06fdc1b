"""First step: is this callback from the platform? Whose is it, and how old?"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import msgspec

from bridge.ingress import refusals
from bridge.ingress.refusals import Refusal
from bridge.query import Query
from bridge.settings import BridgeSettings

MAX_REMEMBERED = 1024
MAX_DIGITS = 18
SECONDS_PER_HOUR = 3600


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """Outcome of the verification."""

    query: Query
    """What was verified."""
    refusal: Refusal | None
    skew_s: float = 0.0
    """RequestTime minus our time, in seconds, where the signature is right."""


class Verifier:
    """Checks callbacks of the configured apps.

    Args:
        apps: SdkAppid → tokens; without tokens only the SdkAppid is checked.
        max_skew_s: most seconds between RequestTime and our clock.
        max_stale_s: the same for what is stale, and may be kept nevertheless.
        now: our clock, Unix seconds.
    """

    def __init__(
        self,
        apps: Mapping[str, Sequence[str]],
        *,
        max_skew_s: float,
        max_stale_s: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._apps: object = None
        """Of the settings that the tokens are from."""
        self._tokens = _encoded(apps)
        self._max_skew_s = max_skew_s
        self._max_stale_s = max_stale_s
        self._now = now
        self._signed: dict[tuple[str, str, str], float] = {}
        """Signatures that were right lately → their RequestTime: all callbacks of an app in a second have the same."""

    @classmethod
    def from_settings(cls, settings: BridgeSettings) -> Self:
        """The one that the settings describe."""
        made = cls(
            _revealed(settings),
            max_skew_s=settings.clock_skew_s,
            max_stale_s=settings.stale_max_age_hours * SECONDS_PER_HOUR,
        )
        made._apps = settings.apps
        return made

    def use_tokens_of(self, settings: BridgeSettings) -> None:
        """Check by the tokens of other settings from now on: their file has changed. What they lack is refused."""
        if settings.apps is not self._apps:
            self._apps = settings.apps
            self._tokens = _encoded(_revealed(settings))
            self._signed.clear()

    def verify(self, query: Query) -> Verdict:
        """Whether the callback with this query is authentic and fresh."""
        proof = query.app_id, query.get("sign"), query.get("requesttime")
        signed_at = self._signed.get(proof)
        if signed_at is None:
            refusal = self._check(*proof)
            if refusal is not None or not self._tokens[query.app_id]:
                return Verdict(query, refusal)
            signed_at = float(proof[2])
            if len(self._signed) >= MAX_REMEMBERED:
                self._signed.clear()
            self._signed[proof] = signed_at
        skew = signed_at - self._now()
        if -self._max_skew_s <= skew <= self._max_skew_s:
            return Verdict(query, None, skew)
        return Verdict(query, refusals.STALE_TIME if abs(skew) <= self._max_stale_s else refusals.EXPIRED, skew)

    def _check(self, app_id: str, signature: str, request_time: str) -> Refusal | None:
        tokens = self._tokens.get(app_id)
        if tokens is not None and not tokens:
            return None
        if not signature or not request_time:
            return refusals.SIGNATURE_MISSING if tokens else refusals.UNKNOWN_APP
        is_time = request_time.isascii() and request_time.isdigit() and len(request_time) <= MAX_DIGITS
        # For an app that there is not, the tokens of another: the time taken says nothing about which apps there are.
        tried = tokens or next(filter(None, self._tokens.values()), [])
        is_signed = is_time and _is_signed(signature, request_time, tried)
        if tokens is None:
            return refusals.UNKNOWN_APP
        return None if is_signed else refusals.BAD_SIGNATURE


def _revealed(settings: BridgeSettings) -> dict[str, list[str]]:
    return {app: [token.get_secret_value() for token in tokens] for app, tokens in settings.apps.items()}


def _encoded(apps: Mapping[str, Sequence[str]]) -> dict[str, list[bytes]]:
    return {app: [token.encode() for token in tokens] for app, tokens in apps.items()}


def sign(token: str, request_time: str) -> str:
    """The platform's signature: hex of SHA-256 over the token and the decimal Unix seconds."""
    return hashlib.sha256(token.encode() + request_time.encode()).hexdigest()


def _is_signed(sign: str, request_time: str, tokens: Sequence[bytes]) -> bool:
    # Every token is tried, whichever fits: the time taken says nothing about the tokens.
    given = sign.lower().encode(errors="replace")
    time_bytes = request_time.encode()
    matches = [hmac.compare_digest(hashlib.sha256(token + time_bytes).hexdigest().encode(), given) for token in tokens]
    return any(matches)
