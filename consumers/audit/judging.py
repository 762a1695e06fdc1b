"""Decides of each number that is not on the topic whether it is missing, may still come, or is explained.

A process states up to which number Kafka has confirmed its records. When a statement is read, the ends of all
partitions are noted; once all up to there is read, the statement is *due*: what it says to be confirmed must have been
read, if it is there at all. So it does not matter in which order partitions are read, nor how far behind the auditor
is, and no clock takes part in it.

What a process took and Kafka has not confirmed lies in its journal. When it ends so, another process of the same folder
takes the journal over, and states how many such records wait in it. A folder is *settled* once each process that lives
in it has stated, behind the last such end, that nothing waits that it took over, and that it has looked for journals
without an owner twice more than in the first statement that it made behind that end. Twice, for a look that was under
way may have begun before. Then all numbers of lives that had ended by then must have arrived, but for those that are
named as exceptions.

A process that has begun, and so may have taken journals over, is known by its first statement, which it makes at once;
looks are a minute apart. One whose records are seen before its statements holds the settling up as well.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial

from common.audit.statement import Statement, TopicStatement
from consumers.audit.ledger import AuditLedger
from consumers.audit.life import AuditedLife
from consumers.audit.partition_log import PartitionLog, explaining_jumps
from consumers.audit.seen_numbers import Gap
from consumers.audit.stream import ExplainGap, Mark, NumberedStream

LOOKS_SINCE_END = 2
UNKNOWN_FOR_MS = 300_000
UNKNOWN_HOLD_UP_MS = 2 * UNKNOWN_FOR_MS
"""How long, from when an end was read, lives that nobody knows can keep it from being decided: whoever may write to the
topic could name a new one again and again."""


def judge(ledger: AuditLedger, now_ms: int) -> None:
    """Decide all that can be decided by now.

    Args:
        ledger: what is known; it is changed.
        now_ms: Unix milliseconds.
    """
    by_folder: dict[str, list[AuditedLife]] = defaultdict(list)
    has_unknown = any(_is_about_to_state(life, now_ms) for life in ledger.lives.values())
    ledger.listening_ms = min(ledger.listening_ms, now_ms)
    for life in ledger.lives.values():
        life.heard_ms = min(life.heard_ms, now_ms)  # The clock was set back.
        _give_up(ledger, life)
        if life.due is not None:
            _judge_confirmed(ledger, life, life.due.statement)
        if life.latest is not None:
            by_folder[life.latest.statement.folder].append(life)
    for folder, lives in by_folder.items():
        end = ledger.unclean_ends.get(folder, -1)
        is_settled = _is_settled(lives, end)
        for life in lives:
            if not life.is_settled and life.has_proven_end:
                is_held_up = has_unknown and life.heard_ms > now_ms - UNKNOWN_HOLD_UP_MS
                _judge_ended(ledger, life, is_settled=is_settled and not is_held_up, unclean_end=end)
    ledger.time_ms = now_ms
    ledger.bound()


def _give_up(ledger: AuditLedger, life: AuditedLife) -> None:
    """Forget a life that an operator has given up, unless it has stated something since."""
    forgotten = ledger.forgotten.get(life.process)
    if forgotten is None or life.is_settled or (life.latest is not None and life.latest.offset > forgotten.offset):
        return
    life.is_forgotten = life.is_settled = True
    for topic, given in _given(life).items():
        stream = life.stream(topic)
        stream.mark("forgotten", [(stream.judged_through + 1, given)] if given > stream.judged_through else [])
        stream.judge(given, _never)


def _judge_confirmed(ledger: AuditLedger, life: AuditedLife, statement: Statement) -> None:
    for topic, told in statement.topics.items():
        stream, through = life.stream(topic), life.confirmed[topic]
        if through > stream.judged_through:
            _mark_unproven(life, stream, topic, told, through)
            stream.judge(through, _explain(ledger, topic, statement))
    life.note_confirmed({topic: stream.judged_through for topic, stream in life.streams.items()})


def _judge_ended(ledger: AuditLedger, life: AuditedLife, *, is_settled: bool, unclean_end: int) -> None:
    due = life.due
    if due is None:
        return
    statement = due.statement
    is_left_to_others = any(life.stream(topic).judged_through < given for topic, given in life.given.items())
    if is_left_to_others and not (is_settled and due.offset <= unclean_end):
        return
    for topic, told in statement.topics.items():
        stream, through = life.stream(topic), life.given[topic]
        _mark_unproven(life, stream, topic, told, through)
        stream.judge(through, _explain(ledger, topic, statement))
    life.given_at.clear()
    life.is_settled = True


def _is_about_to_state(life: AuditedLife, now_ms: int) -> bool:
    """Whether it has taken records lately and is not known otherwise: nobody can say what else it holds."""
    since_ms = now_ms - UNKNOWN_FOR_MS
    is_unknown = life.latest is None and not life.is_forgotten
    # A time that is far ahead is of no clock, and whoever made it up must not hold up all others for so long.
    until_ms = now_ms + UNKNOWN_FOR_MS
    times_ms = [one.seen.last_ms[-1] for one in life.streams.values() if len(one.seen)]
    return is_unknown and any(since_ms < time_ms <= until_ms for time_ms in times_ms)


def _is_settled(lives: list[AuditedLife], unclean_end: int) -> bool:
    """Whether nothing waits in a folder any more of those that had ended by then."""
    has_witness = False
    for life in lives:
        if life.is_forgotten:
            continue
        if life.due is None:
            return False
        statement = life.due.statement
        has_looked = statement.looks >= life.looks_before + LOOKS_SINCE_END
        is_witness = life.due.offset > unclean_end and has_looked and not statement.taken_over
        if not is_witness and not statement.ended:
            return False
        has_witness = has_witness or is_witness
    return has_witness


def _explain(ledger: AuditLedger, topic: str, statement: Statement) -> ExplainGap:
    if topic in ledger.absent_topics:
        return _of_absent
    return partial(_explain_gap, ledger.logs_of(topic), statement.started_ms)


def _of_absent(gap: Gap) -> tuple[Mark, int]:
    return "before", gap.size


def _explain_gap(logs: list[PartitionLog], started_ms: int, gap: Gap) -> tuple[Mark, int] | None:
    """How many of the numbers of a gap retention can have taken; None: none."""
    jumps = explaining_jumps(logs, started_ms if gap.after_ms is None else gap.after_ms)
    explained = 0
    for jump in jumps:
        taken = min(jump.unexplained, gap.size - explained)
        jump.unexplained -= taken
        explained += taken
    if not explained:
        return None
    return "before" if all(jump.is_initial for jump in jumps) else "expired", explained


def _mark_unproven(life: AuditedLife, stream: NumberedStream, topic: str, told: TopicStatement, through: int) -> None:
    """Mark the numbers up to one of which a statement does not tell whether anybody was told that they were taken."""
    if not told.is_exact and through > life.durable[topic]:
        stream.mark("unproven", [(life.durable[topic] + 1, through)])


def _given(life: AuditedLife) -> dict[str, int]:
    """The last number of each topic that is known to have been given."""
    told = life.latest.statement.topics if life.latest is not None else {}
    topics = {*told, *life.streams, *life.given}
    return {
        topic: max(
            life.given.get(topic, 0),
            told[topic].given if topic in told else 0,
            life.streams[topic].seen.last if topic in life.streams else 0,
        )
        for topic in topics
    }


def _never(_gap: Gap) -> None:
    return None
