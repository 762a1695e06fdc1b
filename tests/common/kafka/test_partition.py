"""Keys go where Kafka's own clients put them."""

from __future__ import annotations

from aiokafka.partitioner import murmur2 as known_murmur2
from hypothesis import given
from hypothesis import strategies as st

from common.kafka import partition
from common.kafka.partition import murmur2, partition_of, partitions_of


@given(st.binary(max_size=40))
def test_the_hash_is_that_of_aiokafka(key: bytes) -> None:
    assert murmur2(key) == known_murmur2(key) & 0xFFFFFFFF


def test_a_key_goes_where_the_java_client_puts_it() -> None:
    # From the tests of Kafka itself: Utils.murmur2("foobar") is -790332482.
    assert murmur2(b"foobar") == -790332482 & 0xFFFFFFFF
    assert partition_of(b"foobar", 12) == (-790332482 & 0x7FFFFFFF) % 12


@given(st.integers(0, 30).flatmap(lambda length: st.lists(st.binary(min_size=length, max_size=length), max_size=40)))
def test_many_keys_of_one_length_go_where_each_of_them_goes(keys: list[bytes]) -> None:
    assert partitions_of(keys, 12) == [partition_of(key, 12) for key in keys]


@given(
    st.binary(max_size=20),
    st.integers(0, 9).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n), max_size=40)),
)
def test_keys_that_begin_alike_go_where_each_of_them_goes(begin: bytes, ends: list[bytes]) -> None:
    keys = [begin + end for end in ends]
    assert partitions_of(keys, 12) == [partition_of(key, 12) for key in keys]


@given(st.lists(st.binary(max_size=9), max_size=100), st.integers(1, 1000))
def test_many_keys_of_all_lengths_go_where_each_of_them_goes(keys: list[bytes], partitions: int) -> None:
    assert partitions_of(keys, partitions) == [partition_of(key, partitions) for key in keys]


def test_the_greatest_bytes_in_all_lanes_go_over_into_no_other() -> None:
    keys = [b"\xff" * 31] * 2000
    assert set(partitions_of(keys, 2**31)) == {murmur2(keys[0]) & 0x7FFFFFFF}


def test_only_keys_of_the_usual_size_are_remembered() -> None:
    partition._remembered.clear()
    short, long = b"a" * partition._MAX_REMEMBERED_BYTES, b"a" * (partition._MAX_REMEMBERED_BYTES + 1)
    assert partitions_of([short], 12) == [partition_of(short, 12)]
    for _ in range(2):
        assert partitions_of([long, short, long], 12) == [partition_of(key, 12) for key in (long, short, long)]
    assert partition._remembered == {12: {short: partition_of(short, 12)}}


def test_no_more_keys_are_remembered_than_that_and_none_goes_elsewhere_for_it() -> None:
    partition._remembered.clear()
    keys = [b"%d" % number for number in range(3 * partition._MAX_REMEMBERED // 2)]
    for start in range(0, len(keys), 1000):
        some = keys[start : start + 1000] + keys[:10]
        assert partitions_of(some, 7) == [partition_of(key, 7) for key in some]
        assert len(partition._remembered[7]) <= partition._MAX_REMEMBERED
    assert partition._remembered[7]


def test_how_many_partitions_there_are_is_remembered_too() -> None:
    for partitions in (3, 12, 3):
        assert partitions_of([b"ann"] * 9, partitions) == [partition_of(b"ann", partitions)] * 9
