"""The set of what the topic has, on disk."""

from __future__ import annotations

import hashlib
import os
import resource
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.backfill.known_messages import FoundIn, KnownMessages


def nameless_bytes(folder: Path) -> int:
    """How large the files are that this process has open there and that have no name any more."""
    opened = [one for one in Path("/proc/self/fd").iterdir() if os.path.lexists(one)]
    return sum(one.stat().st_size for one in opened if one.readlink().match(f"{folder}/known-*"))


def key(number: int) -> bytes:
    return hashlib.blake2b(number.to_bytes(8), digest_size=16).digest()


def test_it_leaves_nothing_in_its_folder_whatever_ends_it(tmp_path: Path) -> None:
    with KnownMessages(tmp_path) as known:
        known.add([key(1)], FoundIn.TOPIC)
        assert list(tmp_path.iterdir()) == [], "also while it is used: a kill leaves nothing either"


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from(FoundIn)), max_size=60))
def test_it_is_as_exact_as_a_dictionary(added: list[tuple[int, FoundIn]]) -> None:
    expected: dict[bytes, FoundIn] = {}
    with tempfile.TemporaryDirectory() as folder, KnownMessages(Path(folder)) as known:
        for number, place in added:
            known.add([key(number)], place)
            expected[key(number)] = min(expected.get(key(number), place), place)
        assert known.find([key(number) for number in range(51)]) == expected
        assert len(known) == len(expected)


@pytest.mark.slow
def test_a_million_keys_cost_their_bytes_on_disk_and_no_memory_beyond_the_cache(tmp_path: Path) -> None:
    with KnownMessages(tmp_path) as known:
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for start in range(0, 1_000_000, 10_000):
            known.add(map(key, range(start, start + 10_000)), FoundIn.TOPIC)
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
        assert 16 * 1_000_000 < nameless_bytes(tmp_path) < 40 * 1_000_000
        assert grown_kib < 100 * 1024
        found = known.find([key(number) for number in range(999_000, 1_001_000)])
        assert len(found) == 1000
