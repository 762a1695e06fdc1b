"""Long commands reach Redis as the client itself would send them."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from redis.exceptions import DataError

from consumers.badges.redis_packing import pack_fast

ARGUMENTS = ["a-key", "Jürgen", b"\x00\r\n", "", 7, -1, 2.5, b"x" * 10_000] * 10


def packed(client: Redis, *arguments: object) -> bytes:
    connection = client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    return b"".join(bytes(part) for part in connection.pack_command(*arguments))


@pytest.mark.parametrize("url", ["redis://localhost", "rediss://localhost", "unix:///tmp/redis.sock"])
@pytest.mark.parametrize("count", [0, 1, 30, 31, 32, 80])
def test_a_command_is_packed_as_the_client_does_it(url: str, count: int) -> None:
    plain, fast = Redis.from_url(url), Redis.from_url(url)
    pack_fast(fast)
    assert packed(fast, "EVALSHA", *ARGUMENTS[:count]) == packed(plain, "EVALSHA", *ARGUMENTS[:count])


def test_what_redis_has_no_form_for_is_refused() -> None:
    client = Redis.from_url("redis://localhost")
    pack_fast(client)
    with pytest.raises(DataError):
        packed(client, "SET", *ARGUMENTS, None)
