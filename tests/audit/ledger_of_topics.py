"""What must be on the topics by the statements, and what is: plainly, without bounds and in one go."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from common.audit.header import HEADER, Life, RecordNumber, parse_number
from common.audit.statement import Ranges, Statement, decode_statement
from tests.support.commands import IngressProcess
from tests.support.topic import TopicMessage, read_all


def number_of(message: TopicMessage) -> RecordNumber | None:
    """The number of a record on a topic."""
    found = [value for name, value in message.headers if name == HEADER]
    assert len(found) <= 1, "a record has two numbers"
    return parse_number(found[0]) if found else None


def statements(bootstrap: str, topic: str) -> list[Statement]:
    """All that were made, in order."""
    return [decode_statement(message.value or b"") for message in read_all(bootstrap, topic)]


@dataclass
class ReadNumbers:
    """What there is of the numbers of a life on one topic."""

    given: int = 0
    seen: list[int] = field(default_factory=list)
    never_durable: set[int] = field(default_factory=set)
    is_exact: bool = True

    @property
    def missing(self) -> set[int]:
        """Numbers that are not there and may not be missing."""
        return set(range(1, self.given + 1)) - set(self.seen) - self.never_durable


@dataclass
class ReadLives:
    """All of a test's topics."""

    last: dict[Life, Statement]
    topics: dict[tuple[Life, str], ReadNumbers]

    @property
    def missing(self) -> dict[str, set[int]]:
        """Numbers that are not there and may not be missing, by life and topic."""
        return {f"{life.name} {topic}": one.missing for (life, topic), one in self.topics.items() if one.missing}

    @property
    def ends(self) -> dict[Life, str]:
        """How each life ended; empty while it lives."""
        return {life: statement.ended for life, statement in self.last.items()}


def ledger_of(bootstrap: str, bridge: IngressProcess) -> ReadLives:
    """What the topics say now."""
    last: dict[Life, Statement] = {}
    topics: dict[tuple[Life, str], ReadNumbers] = defaultdict(ReadNumbers)
    for statement in statements(bootstrap, bridge.topics.audit):
        last[statement.life] = statement
    for life, statement in last.items():
        for topic, stated in statement.topics.items():
            one = topics[life, topic]
            one.given, one.is_exact = stated.given, stated.is_exact
            one.never_durable |= numbers_in(stated.never_durable)
        for name, by_topic in statement.set_aside.items():
            for topic, ranges in by_topic.items():
                process, _, epoch = name.partition("/")
                topics[Life(process, int(epoch)), topic].never_durable |= numbers_in(ranges)
    for topic in (bridge.topics.events, bridge.topics.dlq):
        for message in read_all(bootstrap, topic):
            if (number := number_of(message)) is not None:
                topics[number.life, topic].seen.append(number.number)
    return ReadLives(last, dict(topics))


def numbers_in(ranges: Ranges) -> set[int]:
    """All numbers of some ranges."""
    return {number for first, last in ranges for number in range(first, last + 1)}
