"""The ends of lives that nobody states of himself: of processes that were killed.

What is there of one is its ledger, as it was a moment before, and its marks, which are exact. One that had no ledger,
since the disk was full or its folder was removed, has left marks alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bridge.audit.folder import FOLDER, LEDGER
from bridge.audit.marks import NAME, SHARED_MEMORY, LifeMarks, description_of, is_readable_here
from common.audit.header import Life
from common.audit.statement import SetAside, Statement, TopicStatement

ENDS = ".ends"
"""What the names of files end with that have ends, beside the ledgers."""

Ends = dict[str, Statement]
"""Name of a life → the statement of its end."""

_decoder = msgspec.json.Decoder(list[Statement])


def read_ends(path: Path) -> Ends:
    """What is in a file. Of one that cannot be read, none."""
    try:
        found = _decoder.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return {statement.life.name: statement for statement in found}


def ends_without_ledger(folder: Path) -> list[Path]:
    """Files whose ledger was removed, so that whoever takes ledgers over does not come to them."""
    return [path for path in folder.glob(f"*{ENDS}") if not path.with_suffix(LEDGER).exists()]


def end_of_killed(last: Statement, marks: LifeMarks | None, set_aside: SetAside) -> Statement:
    """The statement of the end of a life that was killed, as exact as can be.

    Args:
        last: what it would have stated last.
        marks: of the life; None where they are lost.
        set_aside: what is in quarantine in its folder.
    """
    if marks is None:
        topics = {
            topic: msgspec.structs.replace(one, is_exact=False, never_durable=[]) for topic, one in last.topics.items()
        }
    else:
        topics = {topic: _topic_end(last, topic, marks) for topic in last.topics}
    return msgspec.structs.replace(
        last,
        ended="killed",
        time_ms=time.time_ns() // 1_000_000,
        topics=topics,
        looks=0,
        taken_over=0,
        set_aside=set_aside,
    )


def orphans(
    folder: Path, folder_id: str, template: Statement, shared_memory: Path
) -> Iterator[tuple[Statement, LifeMarks]]:
    """What is known of lives of a folder that have ended and of which there are marks, and no ledger.

    Args:
        folder: of the ledgers.
        folder_id: its id.
        template: of a process on this machine.
        shared_memory: where marks are.
    """
    for path in sorted(shared_memory.glob(f"{NAME}-*")):
        description = description_of(path)
        if description is None or not is_readable_here(description):
            continue
        ledger, life = Path(description.ledger), Life(description.process, description.epoch)
        if ledger.parent != folder.absolute() or ledger.exists():
            continue
        if (marks := LifeMarks.open_left(path, life)) is None:
            continue
        last = msgspec.structs.replace(
            template,
            process=life.process,
            epoch=life.epoch,
            folder=folder_id,
            pid=description.pid,
            started_ms=life.epoch * 1000,
            topics=dict.fromkeys(description.topics, TopicStatement(given=0)),
            previous=None,
        )
        yield last, marks


def marks_without_ledger(journal_dir: Path, life: Life, topics: Sequence[str], size: int) -> LifeMarks:
    """Marks of a life that has no ledger in this folder of journals, and may get one; in memory of ours at least."""
    ledger = (journal_dir / FOLDER / f"{life.process}{LEDGER}").absolute()
    try:
        return LifeMarks.create(SHARED_MEMORY / f"{NAME}-none-{life.process}-0", life, topics, size, ledger)
    except OSError:
        return LifeMarks.in_memory(life, topics, size)


def _topic_end(last: Statement, topic: str, marks: LifeMarks) -> TopicStatement:
    if (ring := marks.rings.get(topic)) is None:
        return msgspec.structs.replace(last.topics[topic], is_exact=False)
    undecided = ring.undecided()
    return TopicStatement(
        given=ring.counters.given,
        confirmed_through=last.topics[topic].confirmed_through,
        durable_through=undecided.durable_through,
        never_durable=undecided.never_durable if undecided.is_exact else [],
        is_exact=undecided.is_exact,
    )
