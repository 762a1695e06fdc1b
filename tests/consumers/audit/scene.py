"""What an audit is told, made up."""

from __future__ import annotations

from typing import Any

from common.audit.header import RecordNumber
from common.audit.statement import Statement, TopicStatement
from consumers.audit.judging import judge
from consumers.audit.ledger import AuditLedger
from consumers.audit.life import Stated
from consumers.audit.stream import GapKind
from consumers.audit.summary import AuditReport, summarize

NOW_MS = 1_800_000_000_000
TOPIC = "im.events"


class Scene:
    """A ledger that is told of records and statements; each statement is due at once, unless told otherwise."""

    def __init__(self) -> None:
        self.ledger = AuditLedger(begun_ms=NOW_MS - 1_000_000, has_caught_up=True)
        self.offset = 0

    def arrive(self, life: str, *numbers: int) -> None:
        """Records of a life that are on the topic, each received a second after the one before."""
        process, _, epoch = life.partition("/")
        for number in numbers:
            record = RecordNumber(process, int(epoch), number)
            self.ledger.note_record(TOPIC, record, NOW_MS - 1_000_000 + 1000 * number)

    def state(
        self,
        life: str,
        given: int,
        confirmed: int | None = None,
        *,
        is_due: bool = True,
        folder: str = "f",
        **more: Any,
    ) -> int:
        """A statement of a life, `more` in it, or about its topic."""
        process, _, epoch = life.partition("/")
        of_topic = {name: more.pop(name) for name in ("durable_through", "never_durable", "is_exact") if name in more}
        self.offset += 1
        statement = Statement(
            process=process,
            epoch=int(epoch),
            folder=folder,
            host="host",
            pid=1,
            version="1",
            started_ms=NOW_MS - 1_000_000,
            time_ms=more.pop("time_ms", NOW_MS - 100_000 + self.offset),
            interval_s=10,
            topics={TOPIC: TopicStatement(given=given, confirmed_through=confirmed or 0, **of_topic)},
            **more,
        )
        stated = Stated(self.offset, statement)
        self.ledger.read_statement(stated, NOW_MS)
        if is_due:
            self.ledger.make_due([stated])
        judge(self.ledger, NOW_MS)
        return self.offset

    @property
    def report(self) -> AuditReport:
        """What the ledger says now."""
        judge(self.ledger, NOW_MS)
        return summarize(self.ledger, NOW_MS)

    def gaps(self, kind: GapKind) -> list[tuple[str, int, int]]:
        """Life, first and last number of the gaps of a kind."""
        return [(f"{one.process}/{one.epoch}", one.first, one.last) for one in self.report.gaps if one.kind == kind]


def killed_with_a_journal(scene: Scene) -> int:
    """a/1 lived beside b/1, and was killed when 4 of its 10 records were confirmed. Gives the offset of that."""
    scene.arrive("a/1", 1, 2, 3, 4)
    scene.state("b/1", 0, looks=5)
    scene.state("a/1", 10, 4)
    return scene.state("a/1", 10, 4, ended="killed", never_durable=[(9, 10)], durable_through=10)
