"""Memory that outlives the process."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.audit.marks import SHARED_MEMORY, LifeMarks
from bridge.journal.groups import Group
from bridge.journal.numbering import LEAST_RING, Counters
from bridge.journal.record import Record
from common.audit.header import Life

LIFE = Life("k3f9a2", 7)
TOPICS = ("im.events", "im.events.dlq")


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    made = SHARED_MEMORY / f"im-bridge-test-{os.getpid()}-{tmp_path.name}"
    yield made
    made.unlink(missing_ok=True)


def numbered(marks: LifeMarks, topic: str, count: int) -> Group:
    group = Group(topic, 0.0)
    for _ in range(count):
        group.add(Record(topic, b"", b"", [], 0), None)
    numbers = marks.numbering()[topic]
    group.first_number, group.ring = numbers.number(group.records), numbers.ring
    return group


def test_what_a_process_marked_is_there_when_it_has_gone(path: Path) -> None:
    if (child := os.fork()) == 0:
        marks = LifeMarks.create(path, LIFE, TOPICS, LEAST_RING)
        numbered(marks, "im.events", 5)
        group = numbered(marks, "im.events.dlq", 3)
        group.records[1].confirmed = True
        group.mark_confirmed()
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    left = LifeMarks.open_left(path, LIFE)
    assert left is not None
    assert left.rings["im.events"].undecided().never_durable == [(1, 5)]
    assert left.rings["im.events.dlq"].undecided().never_durable == [(1, 1), (3, 3)]
    assert left.rings["im.events.dlq"].counters == Counters(3, 0)
    left.remove()
    assert LifeMarks.open_left(path, LIFE) is None


def test_those_of_another_life_are_none(path: Path) -> None:
    LifeMarks.create(path, LIFE, TOPICS, LEAST_RING)
    assert LifeMarks.open_left(path, Life("k3f9a2", 8)) is None
    assert LifeMarks.open_left(path, LIFE) is not None


def test_a_new_life_begins_without_the_marks_of_the_one_before(path: Path) -> None:
    numbered(LifeMarks.create(path, LIFE, TOPICS, LEAST_RING), "im.events", 5).mark_durable()
    after = Life("k3f9a2", 8)
    LifeMarks.create(path, after, TOPICS, LEAST_RING)
    left = LifeMarks.open_left(path, after)
    assert left is not None
    assert left.rings["im.events"].counters == Counters(0, 0)
    assert not any(left.rings["im.events"].marks[:LEAST_RING])


@pytest.mark.parametrize(
    "damage", ["cut", "empty", "no JSON", "a size that there is none of", "linked", "a pipe", "a link"]
)
def test_what_is_not_as_we_left_it_is_not_read(path: Path, tmp_path: Path, damage: str) -> None:
    LifeMarks.create(path, LIFE, TOPICS, LEAST_RING)
    match damage:
        case "cut":
            os.truncate(path, path.stat().st_size - 1)
        case "empty":
            os.truncate(path, 0)
        case "no JSON":
            path.write_bytes(b"{" + path.read_bytes())
        case "a size that there is none of":
            path.write_bytes(path.read_bytes().replace(b'"size":65536', b'"size":65537'))
        case "linked":
            path.with_suffix(".second").hardlink_to(path)
        case "a pipe":
            path.unlink()
            os.mkfifo(path)
        case "a link":
            path.rename(moved := path.with_suffix(".second"))
            path.symlink_to(moved)
    try:
        assert LifeMarks.open_left(path, LIFE) is None
    finally:
        path.with_suffix(".second").unlink(missing_ok=True)


def test_where_there_is_no_room_it_is_said_at_once(path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left|File too large|Cannot allocate"):
        LifeMarks.create(path, LIFE, TOPICS, 1 << 45)
    assert not path.exists()
