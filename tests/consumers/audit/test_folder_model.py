"""Processes of a folder that take, publish, die and take over at random: nothing is called missing but what is lost."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from common.audit.header import RecordNumber
from common.audit.statement import Statement, TopicStatement
from consumers.audit.judging import judge
from consumers.audit.ledger import AuditLedger
from consumers.audit.life import Stated
from consumers.audit.summary import AuditReport, summarize

TOPIC = "im.events"
NOW_MS = 1_800_000_000_000


@dataclass(eq=False)
class ModelLife:
    """A life, as it is in truth."""

    name: str
    given: int = 0
    waiting: list[RecordNumber] = field(default_factory=list)
    """Its own records that Kafka has not."""
    taken_over: list[RecordNumber] = field(default_factory=list)
    looks: int = 0
    has_stated: bool = False

    @property
    def confirmed(self) -> int:
        """Kafka has all up to this number."""
        return min((one.number for one in self.waiting), default=self.given + 1) - 1


class ModelFolder:
    """A folder of journals, its processes, Kafka, and the ledger of an audit that reads all at once."""

    def __init__(self, seed: int, lost: int) -> None:
        self.random = random.Random(seed)
        self.ledger = AuditLedger(begun_ms=0, has_caught_up=True)
        self.living: list[ModelLife] = []
        self.unowned: list[RecordNumber] = []
        self.unstated: list[Statement] = []
        """Ends of lives that nobody has stated yet."""
        self.offset = 0
        self.lost = lost
        """Of the records that are published the one of this place never comes, though it is confirmed."""
        self.published = 0
        self.gone: list[RecordNumber] = []
        self.epochs: dict[str, int] = {}
        for _ in range(2):
            self.begin()

    def step(self) -> None:
        """Something happens."""
        what = self.random.choices(
            [self.begin, self.kill, self.stop, self.take, self.publish, self.look, self.state, self.state_ends],
            weights=[2, 2, 1, 6, 6, 4, 6, 2],
        )[0]
        what()
        self.check()

    def check(self) -> AuditReport:
        """See that nothing is called missing that is not gone."""
        judge(self.ledger, NOW_MS)
        report = summarize(self.ledger, NOW_MS)
        claimed = {(gap.process, gap.epoch, n) for gap in report.gaps for n in range(gap.first, gap.last + 1)}
        assert claimed <= set(self.gone), f"{claimed} are called missing, gone are {self.gone}"
        return report

    def begin(self) -> None:
        process = self.random.choice("abc")
        if len(self.living) > 3 or any(one.name.startswith(process) for one in self.living):
            return
        self.epochs[process] = self.epochs.get(process, 0) + 1
        life = ModelLife(f"{process}/{self.epochs[process]}")
        self.living.append(life)
        self.look_of(life)
        self.state_ends()
        if self.random.random() < 0.7:
            self.write(self.statement(life))
            life.has_stated = True

    def kill(self) -> None:
        if life := self.pick():
            self.living.remove(life)
            self.unowned += life.waiting + life.taken_over
            self.unstated.append(self.statement(life, ended="killed"))

    def stop(self) -> None:
        if life := self.pick():
            self.living.remove(life)
            self.unowned += life.waiting + life.taken_over
            self.unstated.append(self.statement(life, ended="stopped"))
            if self.random.random() < 0.7:
                self.write(self.unstated.pop())

    def take(self) -> None:
        if life := self.pick():
            process, _, epoch = life.name.partition("/")
            for _ in range(self.random.randrange(1, 4)):
                life.given += 1
                life.waiting.append(RecordNumber(process, int(epoch), life.given))

    def publish(self) -> None:
        if life := self.pick():
            for records in (life.waiting, life.taken_over):
                for _ in range(self.random.randrange(4)):
                    if records:
                        self.arrive(records.pop(self.random.randrange(len(records))))

    def arrive(self, record: RecordNumber) -> None:
        self.published += 1
        if self.published == self.lost:
            self.gone.append(record)
        else:
            for _ in range(self.random.choice([1, 1, 1, 2])):
                self.ledger.note_record(TOPIC, record, NOW_MS + self.published)

    def look(self) -> None:
        """A look takes as long as the interval between two, in which whoever has begun has stated something."""
        if life := self.pick():
            for other in self.living:
                if not other.has_stated:  # It may be the very one that looks.
                    self.write(self.statement(other))
                    other.has_stated = True
            self.look_of(life)

    def look_of(self, life: ModelLife) -> None:
        life.taken_over += self.unowned
        self.unowned = []
        life.looks += 1

    def state(self) -> None:
        if life := self.pick():
            self.write(self.statement(life))

    def state_ends(self) -> None:
        if self.living:
            for end in self.unstated:
                self.write(end)
            self.unstated = []

    def pick(self) -> ModelLife | None:
        return self.random.choice(self.living) if self.living else None

    def statement(self, life: ModelLife, ended: str = "") -> Statement:
        process, _, epoch = life.name.partition("/")
        says_nothing = ended == "killed"
        return Statement(
            process=process,
            epoch=int(epoch),
            folder="f",
            host="h",
            pid=1,
            version="1",
            started_ms=0,
            time_ms=NOW_MS,
            interval_s=10,
            topics={TOPIC: TopicStatement(given=life.given, confirmed_through=life.confirmed)},
            ended=ended,  # type: ignore[arg-type]
            looks=0 if says_nothing else life.looks,
            taken_over=0 if says_nothing else len(life.taken_over),
        )

    def write(self, statement: Statement) -> None:
        self.offset += 1
        stated = Stated(self.offset, statement)
        self.ledger.read_statement(stated, NOW_MS)
        self.ledger.make_due([stated])

    def settle(self) -> AuditReport:
        """All that lives publishes what it has, looks, and says so."""
        while not self.living:
            self.begin()
        self.state_ends()
        for _ in range(3):
            for life in self.living:
                self.look_of(life)
                while life.waiting or life.taken_over:
                    self.arrive((life.waiting or life.taken_over).pop())
                self.write(self.statement(life))
        return self.check()


@given(st.integers(0, 2**32), st.integers(1, 80), st.integers(5, 60))
def test_what_is_lost_is_found_in_the_end_and_nothing_else_is_ever_called_missing(
    seed: int, lost: int, steps: int
) -> None:
    folder = ModelFolder(seed, lost)
    for _ in range(steps):
        folder.step()
    report = folder.settle()
    assert report.counts.missing == len(folder.gone)
    assert report.counts.waiting == 0
    assert report.counts.acknowledged == report.counts.arrived + len(folder.gone)
    assert all(one.is_settled for one in report.lives if one.state != "living")
