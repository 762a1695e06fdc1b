"""What the page charts of an ingress: how much comes, how fast it is answered; from the metrics of its admin ports."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

Key = TypeVar("Key")

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
        """Add what a page of metrics says.

        Raises:
            Exception: of any kind: it is no such page, or half of one.
        """
        lines = "\n".join(_LINES.findall(text))
        for family in text_string_to_metric_families(f"{lines}\n"):
            for sample in family.samples:
                if name := _COUNTERS.get(sample.name):
                    self.counters[name] += sample.value
                elif sample.name == "bridge_reply_seconds_bucket":
                    bound = float(sample.labels["le"])
                    self.replies[bound] = self.replies.get(bound, 0.0) + sample.value


Pages = dict[URL, MetricSums]
"""What each page of metrics says; those are absent that do not answer, or say what is no metric."""


async def sums_of(pages: Sequence[URL]) -> Pages:
    """Ask for these pages of metrics."""
    texts = await asyncio.gather(*map(_text, pages))
    found = {page: _sums(text) for page, text in zip(pages, texts, strict=True) if text is not None}
    return {page: sums for page, sums in found.items() if sums is not None}


def _sums(text: str) -> MetricSums | None:
    sums = MetricSums()
    try:
        sums.read(text)
    except Exception:  # noqa: BLE001 - an ingress that is killed sends half a line, and somebody else may listen there
        return None
    return sums


def growth(before: Pages, after: Pages) -> MetricSums | None:
    """What has come in all between two looks; None where no page answered both times.

    Each page apart: what an ingress counts is not new because it did not answer before.
    """
    both = [(before[page], sums) for page, sums in after.items() if page in before]
    grown = MetricSums()
    for earlier, later in both:
        _add(grown.counters, earlier.counters, later.counters)
        _add(grown.replies, earlier.replies, later.replies)
    return grown if both else None


def _add(sums: dict[Key, float], before: dict[Key, float], after: dict[Key, float]) -> None:
    grown = {name: value - before.get(name, 0.0) for name, value in after.items()}
    if any(value < 0 for value in grown.values()):
        grown = after  # It was started anew.
    for name, value in grown.items():
        sums[name] = sums.get(name, 0.0) + value


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


def quantile_s(replies: dict[float, float], share: float) -> float | None:
    """Below which time that share of the replies was; None where there was none."""
    buckets = sorted(replies.items())
    total = buckets[-1][1] if buckets else 0.0
    return _interpolated(buckets, total * share) if total > 0 else None


def _interpolated(buckets: Iterable[tuple[float, float]], wanted: float) -> float:
    lower, below = 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted and count > below:
            return lower if bound == float("inf") else lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = bound, count
    return lower
