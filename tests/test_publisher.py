"""The parts of publishing that need no broker."""

from __future__ import annotations

import pytest

from bridge.publisher import partition_of

# Computed with the Java client: Utils.toPositive(Utils.murmur2(key)) % 12.
JAVA = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "abc": 479470107}


@pytest.mark.parametrize("key", JAVA)
def test_a_key_has_the_partition_that_the_java_client_gives_it(key: str) -> None:
    for partitions in (1, 4, 12):
        assert partition_of(key.encode(), partitions) == (JAVA[key] & 0x7FFFFFFF) % partitions
