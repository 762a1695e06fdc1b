"""Keys go where Kafka's own clients put them."""

from __future__ import annotations

from aiokafka.partitioner import murmur2 as known_murmur2
from hypothesis import given
from hypothesis import strategies as st

from common.kafka.partition import murmur2, partition_of


@given(st.binary(max_size=40))
def test_the_hash_is_that_of_aiokafka(key: bytes) -> None:
    assert murmur2(key) == known_murmur2(key) & 0xFFFFFFFF


def test_a_key_goes_where_the_java_client_puts_it() -> None:
    # From the tests of Kafka itself: Utils.murmur2("foobar") is -790332482.
    assert murmur2(b"foobar") == -790332482 & 0xFFFFFFFF
    assert partition_of(b"foobar", 12) == (-790332482 & 0x7FFFFFFF) % 12
