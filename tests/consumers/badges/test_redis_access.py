"""A cluster, or Sentinels, that let the worker not in: it waits, and says what is wrong, as with a single server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.badges import said_of
from tests.support.redis_sets import RedisCluster, SentinelSet

pytestmark = pytest.mark.slow

RIGHTS = ["~im:badge*", "+@read", "+@write", "+@scripting", "+@connection", "+info", "+time"]


@pytest.fixture(scope="module")
def guarded_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    with RedisCluster(tmp_path_factory.mktemp("cluster")) as made:
        for node in made.nodes:
            node.ask("ACL", "SETUSER", "badges", "on", ">the-word", *RIGHTS, "+cluster|slots", "+cluster|info")
            node.ask("ACL", "SETUSER", "few-rights", "on", ">the-word", *RIGHTS)
            node.ask("CONFIG", "SET", "requirepass", "of-others")
        yield made


@pytest.mark.parametrize(
    ("login", "told"),
    [
        ("badges:wrong@", "it refuses user name and password"),
        ("", "it wants a password"),
        ("few-rights:the-word@", "its user may not run the commands"),
    ],
)
async def test_what_keeps_the_worker_out_of_a_cluster_is_waited_for_and_named(
    guarded_cluster: RedisCluster, login: str, told: str
) -> None:
    said = await said_of(guarded_cluster.url.replace("://", f"://{login}"))
    assert told in said
    assert "the-word" not in said


async def test_sentinels_that_refuse_the_password_are_told_from_those_that_know_no_primary(tmp_path: Path) -> None:
    with SentinelSet(tmp_path) as watched:
        for sentinel in watched.sentinels:
            sentinel.ask("ACL", "SETUSER", "default", "resetpass", ">of-sentinels")
        for url in (watched.url, f"{watched.url}?sentinel_password=wrong"):
            said = await said_of(url)
            assert "set sentinel_username and sentinel_password" in said
            assert "redis.asyncio" not in said
        unknown = watched.url.replace(f"/{watched.SERVICE}", "/unknown?sentinel_password=of-sentinels")
        assert "'unknown': none of them knows one that is up" in await said_of(unknown)
