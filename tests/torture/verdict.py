"""What a run has shown: replies against the topic, the topic against the badges, and what the audit says of it."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.support.audit_judge import AuditVerdict, wait_for_audit_of
from tests.support.badge_model import expected
from tests.support.badges import badges_in_redis, badges_on_topic
from tests.support.load import SentCallback
from tests.support.topic import read_all
from tests.support.verdict import DeliveryVerdict, verdict
from tests.support.waiting import wait_until
from tests.torture.schedule import Step
from tests.torture.stage import Stage
from tests.torture.standstill import StandstillWatch

DEADLINE_S = 0.5
BADGES_TIMEOUT_S = 90.0
AUDIT_TIMEOUT_S = 25.0


@dataclass
class Report:
    """The outcome of a run."""

    seed: int
    sent: Sequence[SentCallback]
    delivery: DeliveryVerdict
    audit: AuditVerdict
    wrong_in_redis: list[str]
    wrong_on_topic: list[str]
    damaged_journals: int
    drained_after: float | None
    """Seconds from the end of the load until the topic had everything; None: never."""
    badges_after: float | None
    """Seconds from then until the badges were right."""
    done: list[tuple[float, Step]] = field(default_factory=list)
    """The faults and when they were made (monotonic clock)."""
    recovered: Mapping[str, list[float]] = field(default_factory=dict)
    """Fault → seconds from its end until callbacks were answered, or Kafka confirmed again."""
    cut_bytes: int = 0
    standstill: StandstillWatch | None = None
    """Whether the machine had time for it."""
    notes: str = ""

    @property
    def acknowledged(self) -> list[SentCallback]:
        """Callbacks whose keeping was promised."""
        return [one for one in self.sent if one.acknowledged]

    @property
    def ok(self) -> bool:
        """Whether nothing was lost, by both judges, nothing in disorder, and every badge is right. Late replies break
        no promise here: other programs on the machine can cause them."""
        wrong = self.wrong_in_redis or self.wrong_on_topic or self.damaged_journals
        return self.delivery.ok and self.audit.ok and not wrong and self.drained_after is not None

    def later_than(self, seconds: float) -> list[SentCallback]:
        """Replies that took longer."""
        return [one for one in self.sent if one.replied is not None and one.replied - one.sent > seconds]

    @property
    def longest_gap(self) -> tuple[float, float]:
        """From when to when the longest time was in which no callback was acknowledged (monotonic clock)."""
        times = sorted(one.replied for one in self.acknowledged if one.replied is not None)
        return max(itertools.pairwise(times), key=lambda gap: gap[1] - gap[0], default=(0.0, 0.0))

    def stood_still(self, begin: float, end: float) -> float:
        """Seconds of a span of time in which the machine did not let this process run, nor most likely any other."""
        return 0.0 if self.standstill is None else self.standstill.within(begin, end)


def same_order(phases: Sequence[tuple[float, int]]) -> Any:
    """What decides which callbacks of an account must be in order: those that one process acknowledged.

    With one process at a time, all of a phase, across its restarts. With several, those of a connection, since a
    connection stays with the process that accepted it; and so from a reload on until the next start, for a process that
    comes serves beside one that goes. `phases` is when how many processes were started.
    """
    spans: list[tuple[float, int]] = []
    for at, workers in phases:
        if not spans or spans[-1][1] != workers:
            spans.append((at, workers))

    def key(one: SentCallback) -> Hashable:
        begun, workers = next((span for span in reversed(spans) if span[0] <= one.sent), spans[0])
        return begun if workers == 1 else (begun, one.connection)

    return key


def judge_delivery(sent: Iterable[SentCallback], events: Iterable[Mapping[str, Any]], stage: Stage) -> DeliveryVerdict:
    """Compare the acknowledged callbacks with the topic."""
    return verdict((one for one in sent if one.acknowledged), events, in_order=same_order(stage.phases))


def read_events(stage: Stage) -> list[dict[str, Any]]:
    """All events on the topic, by partition and offset."""
    return [message.event for message in read_all(stage.kafka.bootstrap, stage.topics.events, timeout=120)]


def judge_by_audit(stage: Stage) -> AuditVerdict:
    """What the audit says, when it had its time."""
    return wait_for_audit_of(stage.kafka.bootstrap, stage.topics, timeout=AUDIT_TIMEOUT_S)


def wrong_badges(stage: Stage, events: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Accounts whose badge in Redis and on the topic of badges is not the model's, when the worker had its time."""
    right = expected(events)
    in_store = _differing(right, lambda: badges_in_redis(stage.redis, right))
    on_badges = _differing(right, lambda: badges_on_topic(stage.brokers[0].bootstrap, stage.topics, right))
    return in_store, on_badges


def _differing(right: Mapping[str, Any], found: Any) -> list[str]:
    wrong: list[str] = []

    def same() -> bool:
        present = found()
        wrong[:] = [account for account, badge in right.items() if present.get(account) != badge]
        return not wrong

    try:
        wait_until(same, timeout=BADGES_TIMEOUT_S, every=0.5, what="the right badges")
    except TimeoutError:
        return wrong
    return []
