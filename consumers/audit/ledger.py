"""All that the auditor knows, and how it comes to know it: records and statements in, decisions out.

It knows no Kafka. What the rules are, and why no number is called missing that may still come, is in judging.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec

from common.audit.header import Life, RecordNumber
from common.audit.statement import Statement
from common.logs import fields
from consumers.audit.life import AuditedLife, Stated, is_unclean
from consumers.audit.partition_log import LostPart, PartitionLog
from consumers.audit.stream import StreamCount

log = logging.getLogger(__name__)

FORMAT = 1
MAX_INTERVALS = 30_000
"""Of all streams together, before the largest is folded."""
MAX_OPEN_INTERVALS = 200_000
"""Of all streams together, also where nothing is decided of what is between them: some 40 MB."""
MAX_LIVES = 2000
MAX_UNSTATED_LIVES = 200
MAX_STATED_LIVES = 20_000
"""Of which not all is decided; more are made up by somebody."""
MAX_LOST_PARTS = 100


class Forgotten(msgspec.Struct, frozen=True):
    """An operator has given up a process: its disk is gone."""

    offset: int
    """Of the order on the topic for the audit: what the process states behind it counts again."""
    time_ms: int


class RetiredLives(msgspec.Struct):
    """Lives that ended long ago, of which only sums are kept."""

    lives: int = 0
    counts: StreamCount = msgspec.field(default_factory=StreamCount)
    until_ms: int = 0
    """When the last of their ends was stated."""
    unstated_ms: int = 0
    """When, by the auditor's clock, the last life was given up of which there were records and no statement."""


class AuditLedger(msgspec.Struct, kw_only=True):
    """The state of the audit; a checkpoint is exactly this. The fields are that many because it is all there is."""

    format: int = FORMAT
    begun_ms: int
    """When the audit began, Unix milliseconds."""
    time_ms: int = 0
    """When it was last judged."""
    term: int = 0
    """How many auditors there were before; the higher one counts."""
    sequence: int = 0
    """Counts the checkpoints of one auditor."""
    audit_position: int = 0
    """What is read next of the topic for the audit."""
    listening_ms: int = 0
    """Since when Kafka could be read: before, no statement could be heard."""
    has_caught_up: bool = False
    """Whether all statements were read that there were when the audit began."""
    lives: dict[str, AuditedLife] = {}
    unclean_ends: dict[str, int] = {}
    """Folder → offset of the statement of the last unclean end in it."""
    logs: dict[str, PartitionLog] = {}
    """`topic/partition` → partition."""
    lost_parts: list[LostPart] = []
    lost_records: int = 0
    """How many records the lost parts had, also those of parts that are no longer listed."""
    forgotten: dict[str, Forgotten] = {}
    """By process."""
    retired: RetiredLives = msgspec.field(default_factory=RetiredLives)
    unnumbered: int = 0
    """Records without a number, as older versions and others write them."""
    unreadable: int = 0
    """Statements that this version cannot read."""
    topic_ids: dict[str, str] = {}
    """Of the topics that were read."""
    absent_topics: list[str] = []
    """Those that statements name, and that were not there from when the audit began."""
    read_before: int = 0
    """Up to this offset the topic for the audit was read once already."""
    lives_made: int = 0

    def life(self, life: Life) -> AuditedLife:
        """What is known of a life."""
        found = self.lives.get(life.name)
        if found is None:
            self.lives_made += 1
            if not self.lives_made % MAX_UNSTATED_LIVES:  # Whoever may write to a topic can name any number of lives.
                self._retire()
            found = self.lives[life.name] = AuditedLife(process=life.process, epoch=life.epoch)
        return found

    def note_record(self, topic: str, number: RecordNumber, time_ms: int) -> bool:
        """Note a record that is on a topic; whether its number is new.

        Args:
            topic: its name.
            number: of the record.
            time_ms: when it was received.
        """
        return self.life(number.life).stream(topic).add(number.number, time_ms)

    def read_statement(self, stated: Stated, heard_ms: int) -> None:
        """Note a statement that was read. It decides nothing before `make_due`.

        Args:
            stated: it, and its place on the topic for the audit.
            heard_ms: when it was read, or made where that is long ago.
        """
        offset, statement = stated.offset, stated.statement
        if statement.life.name not in self.lives and not self._is_credible(stated):
            return
        life = self.life(statement.life)
        before = life.latest
        if before is None and statement.started_ms < self.retired.unstated_ms:
            self._doubt(life, statement)
        forgotten = self.forgotten.get(statement.process)
        if forgotten is not None and offset > forgotten.offset and not statement.ended:
            del self.forgotten[statement.process]
        life.hear(stated, heard_ms)
        if before is None:
            # Where the topic was compacted it may have looked long before the last unclean end, and not since.
            life.looks_before = 0 if self.has_caught_up else statement.looks
        elif before.offset <= self.unclean_ends.get(statement.folder, -1):
            life.looks_before = statement.looks
        self._set_aside(statement)
        if is_unclean(statement):
            self.unclean_ends[statement.folder] = offset

    def make_due(self, statements: Iterable[Stated]) -> None:
        """Note that all records were read that were on the topics when these statements had been read."""
        for stated in statements:
            life = self.lives.get(stated.statement.life.name)
            if life is not None:
                life.make_due(stated)

    def undue_statements(self) -> dict[str, Stated]:
        """The last statements that were read, by life, of those that are not due."""
        lasts = ((name, life.latest, life.due) for name, life in self.lives.items())
        return {name: latest for name, latest, due in lasts if latest is not None and latest != due}

    def begin_audit_topic_anew(self) -> None:
        """Read the topic for the audit from its beginning: it was made anew, and its offsets mean others."""
        self.read_before = max(self.read_before, self.audit_position)
        self.audit_position = 0
        self.unclean_ends = dict.fromkeys(self.unclean_ends, -1)
        self.forgotten = {name: Forgotten(-1, one.time_ms) for name, one in self.forgotten.items()}
        for life in self.lives.values():
            if life.latest is not None:
                life.latest = Stated(-1, life.latest.statement)
            if life.due is not None:
                life.due = Stated(-1, life.due.statement)

    def forget(self, process: str, offset: int, time_ms: int) -> None:
        """Give up a process: what of its numbers is not there is neither waited for nor called missing."""
        self.forgotten[process] = Forgotten(offset, time_ms)

    def note_lost(self, part: LostPart) -> None:
        """Note that records which were read are gone from a log."""
        self.lost_parts.append(part)
        del self.lost_parts[:-MAX_LOST_PARTS]
        self.lost_records += part.count

    def logs_of(self, topic: str) -> list[PartitionLog]:
        """What is known of the partitions of a topic."""
        return [log for log in self.logs.values() if log.topic == topic]

    def bound(self) -> None:
        """Keep within bounds what grows with losses, and with lives that come and go."""
        streams = [stream for life in self.lives.values() for stream in life.streams.values()]
        intervals = sum(len(stream.seen) for stream in streams)
        for stream in sorted(streams, key=lambda one: -len(one.seen)):
            if intervals <= MAX_INTERVALS:
                break
            before = len(stream.seen)
            stream.fold(leave=before // 4)
            intervals -= before - len(stream.seen)
        if intervals > MAX_OPEN_INTERVALS:
            self._sum_up()
        self._retire()

    def _set_aside(self, statement: Statement) -> None:
        for name, topics in statement.set_aside.items():
            life = self.lives.get(name)
            if life is not None:
                for topic, ranges in topics.items():
                    life.stream(topic).mark("set_aside", list(ranges))

    def _sum_up(self) -> None:
        """Keep of the streams with the most open gaps the older ones as sums."""
        streams = [(life, topic, one) for life in self.lives.values() for topic, one in life.streams.items()]
        intervals = sum(len(stream.seen) for _, _, stream in streams)
        for life, topic, stream in sorted(streams, key=lambda one: -len(one[2].seen)):
            if intervals <= MAX_OPEN_INTERVALS // 2:
                return
            before = len(stream.seen)
            stream.sum_up(life.stated_given(topic), leave=before // 4)
            intervals -= before - len(stream.seen)
            log.warning(
                "too many gaps wait to be filled: of the older ones of %s, %s, only the sum is kept. Should records of"
                " them come twice, it cannot be told whether all have come, and they are called unproven: `consumers"
                " audit --from` tells then",
                *(life.life.name, topic),
                extra=fields("gaps_summed", life=life.life.name, topic=topic, intervals=before),
            )

    def _is_credible(self, stated: Stated) -> bool:
        """Whether a life that is not known may be new: one that is only in the sums is not, nor one too many."""
        was_read = stated.offset < self.read_before and stated.statement.ended != ""
        if was_read and stated.statement.time_ms <= self.retired.until_ms:
            return False
        return len(self.lives) < MAX_STATED_LIVES + MAX_LIVES

    def _doubt(self, life: AuditedLife, statement: Statement) -> None:
        """Call nothing missing that may have been seen, and was forgotten with lives that nobody stated."""
        for topic, told in statement.topics.items():
            if told.given:
                life.stream(topic).mark("unproven", [(1, told.given)])

    def _retire(self) -> None:
        settled = [one for one in self.lives.values() if one.is_settled and one.latest is not None]
        unstated = [one for one in self.lives.values() if one.latest is None]
        surplus = sorted(settled, key=lambda one: one.latest.offset if one.latest else 0)[: -MAX_LIVES or None]
        scattered = [one for one in unstated[-MAX_UNSTATED_LIVES:] if _intervals(one) > MAX_INTERVALS]
        for life in [*surplus, *unstated[:-MAX_UNSTATED_LIVES], *scattered]:
            self.retired.lives += 1
            for topic, stream in life.streams.items():
                self.retired.counts.add(stream.count(life.given.get(topic, 0)))
            if life.latest is not None:
                self.retired.until_ms = max(self.retired.until_ms, life.latest.statement.time_ms)
            else:
                self.retired.unstated_ms = max(self.retired.unstated_ms, self.time_ms, self.listening_ms)
            del self.lives[life.life.name]
        folders = {one.latest.statement.folder for one in self.lives.values() if one.latest is not None}
        if len(self.unclean_ends) > len(folders):
            self.unclean_ends = {name: at for name, at in self.unclean_ends.items() if name in folders}


def _intervals(life: AuditedLife) -> int:
    return sum(len(stream.seen) for stream in life.streams.values())
