"""First step: is this callback from the platform? Whose is it, and how old?"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import msgspec

from bridge.ingress import refusals
from bridge.ingress.refusals import Refusal
from bridge.query import Common, Query
from bridge.settings import BridgeSettings

MAX_REMEMBERED = 1024
MAX_DIGITS = 18
SECONDS_PER_HOUR = 3600
NS_PER_S = 1_000_000_000
SIGNATURE_CHARS = 64
MARK_BYTES = 16
MAX_MARKS = 65_536
MIN_TIMES, MAX_TIMES = 256, 8192
"""Of so many times what is right is remembered, as far as that is no more than MAX_MARKS: the usual window has 121."""
STALE_HASHES_PER_S = 1000
"""So many signatures are made in a second for times that are not of now: they take about a thousandth of it."""

Marks = Mapping[str, frozenset[bytes]]
NO_MARKS: frozenset[bytes] = frozenset()


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """Outcome of the verification."""

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
        self._accepted: dict[Common, Verdict] = {}
        """Verdicts of one time, without a refusal."""
        self._accepted_at_ns = 0
        self._right = RightSignatures(self._tokens, now)

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
            self._accepted.clear()
            self._right = RightSignatures(self._tokens, self._now)

    def verify(self, query: Query, now_ns: int | None = None) -> Verdict:
        """Whether the callback with this query is authentic and fresh.

        Args:
            query: of the callback.
            now_ns: the time, Unix nanoseconds, if somebody knows it. Callbacks that are verified at one time have one
                verdict if their queries differ in the address alone.
        """
        if now_ns is None:
            return self._verdict(query.common, self._now())
        if now_ns != self._accepted_at_ns:
            self._accepted_at_ns = now_ns
            self._accepted.clear()
        common = query.common
        verdict = self._accepted.get(common)
        if verdict is None:
            verdict = self._verdict(common, now_ns / NS_PER_S)
            if verdict.refusal is None:
                self._accepted[common] = verdict
        return verdict

    def _verdict(self, common: Common, now: float) -> Verdict:
        proof = common.proof
        signed_at = self._signed.get(proof)
        if signed_at is None:
            refusal = self._check(*proof)
            if refusal is not None or not self._tokens[common.app_id]:
                return Verdict(refusal)
            signed_at = float(proof[2])
            if len(self._signed) >= MAX_REMEMBERED:
                self._signed.clear()
            self._signed[proof] = signed_at
        skew = signed_at - now
        if -self._max_skew_s <= skew <= self._max_skew_s:
            return Verdict(None, skew)
        return Verdict(refusals.STALE_TIME if abs(skew) <= self._max_stale_s else refusals.EXPIRED, skew)

    def _check(self, app_id: str, signature: str, request_time: str) -> Refusal | None:
        tokens = self._tokens.get(app_id)
        if tokens is not None and not tokens:
            return None
        if not signature or not request_time:
            return refusals.SIGNATURE_MISSING if tokens else refusals.UNKNOWN_APP
        is_time = request_time.isascii() and request_time.isdigit() and len(request_time) <= MAX_DIGITS
        if is_time:
            is_of_now = request_time[0] != "0" and abs(float(request_time) - self._now()) <= self._max_skew_s
            is_signed = self._right.includes(app_id, signature, request_time, is_of_now=is_of_now)
            if is_signed is None:
                return refusals.STALE_NOT_CHECKED
            if is_signed:
                return None
        return refusals.UNKNOWN_APP if tokens is None else refusals.BAD_SIGNATURE


class RightSignatures:
    """Knows which signatures are right at a time: made once, for all tokens of all apps.

    So to refuse a forged callback costs the same for an app that has one token, for one that has a hundred, and for one
    that there is not. Of the times of now there are few, each of them costs once. Of others there is no end, so what
    they may cost has a limit.

    Args:
        tokens: SdkAppid → tokens.
        now: our clock, Unix seconds.
    """

    def __init__(self, tokens: Mapping[str, Sequence[bytes]], now: Callable[[], float]) -> None:
        self._tokens = tokens
        self._token_count = sum(map(len, tokens.values()))
        self._max_times = max(MIN_TIMES, min(MAX_TIMES, MAX_MARKS // max(1, self._token_count)))
        self._now = now
        self._key = secrets.token_bytes(16)
        """Marks are compared, not signatures. Since nobody else can make one, how long that takes tells nothing."""
        self._marks: dict[str, Marks] = {}
        """RequestTime → of each app the marks of what is right."""
        self._second = 0
        self._hashes = 0
        """Made in that second for times that are not of now."""

    def includes(self, app_id: str, signature: str, request_time: str, *, is_of_now: bool) -> bool | None:
        """Whether a token of an app makes this signature; None: it is not looked at, since too much was.

        Args:
            app_id: SdkAppid, also one that there is not.
            signature: in hexadecimal digits, of either case.
            request_time: as it came, in decimal digits.
            is_of_now: whether it is remembered, and does not count.
        """
        marks = self._marks.get(request_time)
        if marks is None:
            if not is_of_now and not self._may_hash():
                return None
            marks = self._marks_at(request_time)
            if is_of_now:
                if len(self._marks) >= self._max_times:
                    self._marks.clear()
                self._marks[request_time] = marks
        given = signature.lower().encode(errors="replace")
        return len(given) == SIGNATURE_CHARS and self._mark(given) in marks.get(app_id, NO_MARKS)

    def _marks_at(self, request_time: str) -> Marks:
        time_bytes = request_time.encode()
        return {
            app: frozenset(self._mark(hashlib.sha256(token + time_bytes).hexdigest().encode()) for token in tokens)
            for app, tokens in self._tokens.items()
        }

    def _mark(self, signature: bytes) -> bytes:
        return hashlib.blake2b(signature, key=self._key, digest_size=MARK_BYTES).digest()

    def _may_hash(self) -> bool:
        second = int(self._now())
        if second != self._second:
            self._second, self._hashes = second, 0
        if self._hashes >= STALE_HASHES_PER_S:
            return False
        self._hashes += self._token_count
        return True


def _revealed(settings: BridgeSettings) -> dict[str, list[str]]:
    return {app: [token.get_secret_value() for token in tokens] for app, tokens in settings.apps.items()}


def _encoded(apps: Mapping[str, Sequence[str]]) -> dict[str, list[bytes]]:
    return {app: [token.encode() for token in tokens] for app, tokens in apps.items()}


def sign(token: str, request_time: str) -> str:
    """The platform's signature: hex of SHA-256 over the token and the decimal Unix seconds."""
    return hashlib.sha256(token.encode() + request_time.encode()).hexdigest()
