"""What the page charts of an ingress: how much comes, how fast it is answered; from the metrics of its admin ports."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

ANSWER_S = 3.0
MAX_PAGE_BYTES = 16 * 1024 * 1024

_LINES = re.compile(r"^bridge_(?:(?:accepted|refused|published)_total|reply_seconds_bucket)\b.*$", re.MULTILINE)
_COUNTERS = {
    "bridge_accepted_total": "accepted",
    "bridge_refused_total": "refused",
    "bridge_published_total": "published",
}


@dataclass
class MetricSums:
    """Counters of one or more ingresses, added up."""

    counters: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_COUNTERS.values(), 0.0))
    replies: dict[float, float] = field(default_factory=dict)
    """Upper bound in seconds → replies that took no longer."""

    def read(self, text: str) -> None:
        """Add what a page of metrics says."""
        lines = "\n".join(_LINES.findall(text))
        for family in text_string_to_metric_families(f"{lines}\n"):
            for sample in family.samples:
                if name := _COUNTERS.get(sample.name):
                    self.counters[name] += sample.value
                elif sample.name == "bridge_reply_seconds_bucket":
                    bound = float(sample.labels["le"])
                    self.replies[bound] = self.replies.get(bound, 0.0) + sample.value


async def sums_of(pages: Sequence[URL]) -> MetricSums | None:
    """What these pages of metrics say together; None where none answers."""
    texts = await asyncio.gather(*map(_text, pages))
    sums = MetricSums()
    for text in texts:
        if text is not None:
            sums.read(text)
    return sums if any(text is not None for text in texts) else None


async def _text(page: URL) -> str | None:
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(page, allow_redirects=False) as reply,
        ):
            if reply.status != HTTPStatus.OK or (reply.content_length or 0) > MAX_PAGE_BYTES:
                return None
            return await reply.text()
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None


def rate(before: float, after: float, seconds: float) -> float | None:
    """What a counter grew by in a second; after a restart it began anew. None where no time has passed."""
    return None if seconds <= 0 else round((after - before if after >= before else after) / seconds, 2)


def quantile_s(before: dict[float, float], after: dict[float, float], share: float) -> float | None:
    """Below which time that share of the replies between two looks was; None where there was none."""
    grown = [(bound, after[bound] - before.get(bound, 0.0)) for bound in sorted(after)]
    if any(count < 0 for _, count in grown):
        grown = sorted(after.items())
    total = grown[-1][1] if grown else 0.0
    return _interpolated(grown, total * share) if total > 0 else None


def _interpolated(buckets: Iterable[tuple[float, float]], wanted: float) -> float:
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted and count > below:
            return lower if bound == float("inf") else lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = bound, count
    return lower
