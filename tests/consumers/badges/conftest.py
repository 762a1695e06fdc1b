"""The Redis of the badges, of each version that there is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.redis import RedisServer, other_servers
from tests.support.resp_proxy import RespProxy

OTHERS = other_servers()


@pytest.fixture(scope="session", params=["installed", *OTHERS])
def redis_version(request: pytest.FixtureRequest) -> Path | None:
    """The server to run; None: the one of all other tests."""
    name: str = request.param
    return OTHERS.get(name)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory, redis_version: Path | None) -> Iterator[RedisServer]:
    """The Redis of this version that tests share."""
    with RedisServer(tmp_path_factory.mktemp("redis"), binary=redis_version) as shared:
        yield shared


@pytest.fixture
def own_redis(tmp_path: Path, redis_version: Path | None) -> Iterator[RedisServer]:
    """A Redis of this version for one test."""
    with RedisServer(tmp_path / "redis", binary=redis_version) as own:
        yield own


@pytest.fixture
async def proxy(own_redis: RedisServer) -> AsyncIterator[RespProxy]:
    async with RespProxy(own_redis.port) as made:
        yield made
