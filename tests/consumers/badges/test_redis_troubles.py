"""What Redis answers while it is in trouble is never the fault of an event, in whatever words; a foreign key is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.connection import DefaultParser

from consumers.badges.redis_connection import ForeignKeyError, is_of_cluster
from consumers.badges.store import BadgeStore, Owner
from consumers.errors import RetryLater, WorkerRefusedError, is_passing, redis_code
from consumers.reconcile.stale import StaleBadges
from consumers.settings import ConsumersSettings
from tests.support.badge_model import APP, NOON_MS, badge_event
from tests.support.badges import apply_events
from tests.support.ports import free_port
from tests.support.redis import RedisServer
from tests.support.resp_proxy import RespProxy

SCRIPT_62 = "Error running script (call to f_4aa5008aea8dabbc5325044cd754d17100b63631): @user_script:1: "
ANSWERS = {
    # of a Redis 6.2.14
    f"ERR {SCRIPT_62}@user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.": "OOM",
    f"ERR {SCRIPT_62}@user_script: 1: -READONLY You can't write against a read only replica.": "READONLY",
    f"ERR {SCRIPT_62}@user_script: 1: -NOREPLICAS Not enough good replicas to write.": "NOREPLICAS",
    f"ERR {SCRIPT_62}@user_script: 1: -MISCONF Redis is configured to save RDB snapshots, but": "MISCONF",
    f"ERR {SCRIPT_62}@user_script: 1: The user executing the script can't run this command or subcommand": "NOPERM",
    f"ERR {SCRIPT_62}Script killed by user with SCRIPT KILL...": "BUSY",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.": "BUSY",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": "MASTERDOWN",
    # of a Valkey 9.1
    "OOM command not allowed when used memory > 'maxmemory'. script: on @user_script:1.": "OOM",
    "READONLY You can't write against a read only replica. script: on @user_script:1.": "READONLY",
    "NOREPLICAS Not enough good replicas to write. script: on @user_script:1.": "NOREPLICAS",
    "MISCONF Valkey is configured to save RDB snapshots, but it's currently unable to persist to disk.": "MISCONF",
    "ERR ACL failure in script: User default has no permissions to run the 'sadd' command": "NOPERM",
    "NOPERM No permissions to access a key": "NOPERM",
    # of both
    "LOADING Redis is loading the dataset in memory": "LOADING",
    "CLUSTERDOWN Hash slot not served": "CLUSTERDOWN",
    "TRYAGAIN Multiple keys request during rehashing of slot": "TRYAGAIN",
    "EXECABORT Transaction discarded because of previous errors.": "EXECABORT",
    "UNKILLABLE Sorry the script already executed write commands against the dataset.": "UNKILLABLE",
    "NOAUTH Authentication required.": "NOAUTH",
    "WRONGPASS invalid username-password pair or user is disabled.": "WRONGPASS",
    "ERR max number of clients reached": "BUSY",
    "ERR max number of clients + cluster connections reached": "BUSY",
}
OF_CLUSTERS = [
    "CROSSSLOT Keys in request don't hash to the same slot",
    "MOVED 3999 127.0.0.1:6381",
    "ERR 'EVAL' command keys must in same slot",
    "ERR bad lua script for redis cluster, all the keys that the script uses should be passed using the KEYS array",
    "ERR Script attempted to access keys that do not hash to the same slot script: on @user_script:1.",
]


def error_of(answer: str) -> Exception:
    error = DefaultParser.parse_error(answer)  # type: ignore[no-untyped-call]
    assert isinstance(error, Exception)
    return error


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_a_server_answers_in_trouble_passes_by_waiting_wrapped_or_not(answer: str) -> None:
    error = error_of(answer)
    assert is_passing(error)
    assert redis_code(error) == ANSWERS[answer]
    assert not is_of_cluster(error)


@pytest.mark.parametrize(
    "answer",
    [
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        f"ERR {SCRIPT_62}WRONGTYPE Operation against a key holding the wrong kind of value",
        "ERR value is not an integer or out of range",
    ],
)
def test_a_fault_of_a_command_does_not_pass(answer: str) -> None:
    assert not is_passing(error_of(answer))


@pytest.mark.parametrize("answer", OF_CLUSTERS)
def test_the_answers_of_clusters_and_of_proxies_before_them_are_known(answer: str) -> None:
    assert is_of_cluster(error_of(answer))


@contextlib.contextmanager
def full(admin: redis.Redis) -> Iterator[None]:
    admin.config_set("maxmemory", 1)
    yield
    admin.config_set("maxmemory", 0)


@contextlib.contextmanager
def a_replica(admin: redis.Redis) -> Iterator[None]:
    admin.replicaof("127.0.0.1", str(free_port()))
    yield
    admin.replicaof("NO", "ONE")


@contextlib.contextmanager
def without_replicas(admin: redis.Redis) -> Iterator[None]:
    admin.config_set("min-replicas-to-write", 1)
    yield
    admin.config_set("min-replicas-to-write", 0)


@contextlib.contextmanager
def without_permission(admin: redis.Redis) -> Iterator[None]:
    forbidden = ["-sadd", "-hincrby"]
    admin.acl_setuser("default", enabled=True, nopass=True, keys=["*"], categories=["+@all"], commands=forbidden)
    yield
    admin.acl_setuser("default", enabled=True, nopass=True, keys=["*"], categories=["+@all"])


@contextlib.contextmanager
def with_a_password(admin: redis.Redis) -> Iterator[None]:
    admin.config_set("requirepass", "secret")
    yield
    admin.config_set("requirepass", "")


Trouble = Callable[[redis.Redis], contextlib.AbstractContextManager[None]]
TROUBLES: dict[Trouble, str] = {
    full: "its memory is full",
    a_replica: "it is a replica",
    without_replicas: "too few replicas",
    without_permission: "may not run the commands",
}


def make_store(server: RedisServer, **settings: Any) -> BadgeStore:
    return BadgeStore(ConsumersSettings.model_validate({"redis_url": server.url, **settings}), mode="watch")


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: trouble.__name__)
async def test_events_wait_while_redis_is_in_trouble(own_redis: RedisServer, trouble: Trouble) -> None:
    store = make_store(own_redis)
    await store.begin(lost=False)
    with redis.Redis(port=own_redis.port) as admin:
        with trouble(admin):
            for _ in range(2):
                with pytest.raises(RetryLater, match=TROUBLES[trouble]):
                    await apply_events(store, badge_event("a", "ann", 3, time=NOON_MS))
            with contextlib.suppress(RetryLater):  # Some servers let a script pass that has nothing to write.
                await StaleBadges(store).postpone(Owner(APP, "ann"), jitter=1)
        await apply_events(store, badge_event("a", "ann", 3, time=NOON_MS))
    assert [badge.unread for badge in await store.find("ann", APP)] == [3]
    await store.close()


async def test_a_server_that_takes_no_writes_is_noticed_while_nothing_is_to_be_written(own_redis: RedisServer) -> None:
    store = make_store(own_redis)
    await store.begin(lost=False)
    await store.update({})
    with (
        redis.Redis(port=own_redis.port) as admin,
        a_replica(admin),
        pytest.raises(RetryLater, match="it is a replica"),
    ):
        await store.update({})
    await store.update({})
    await store.close()


async def test_any_other_answer_to_our_own_script_is_no_fault_of_an_event_either(own_redis: RedisServer) -> None:
    async with RespProxy(own_redis.port) as proxy:
        store = BadgeStore(ConsumersSettings.model_validate({"redis_url": proxy.url}))
        for answer in ("ERR whatever a later version may say", "ODD answer", *ANSWERS, *OF_CLUSTERS):
            proxy.answers = {"EVALSHA": answer}
            with pytest.raises(RetryLater):
                await apply_events(store, badge_event("a", "ann", 3, time=NOON_MS))
        proxy.answers = {}
        await apply_events(store, badge_event("a", "ann", 3, time=NOON_MS))
        await store.close()


async def test_a_key_that_is_no_badge_is_the_fault_of_its_events_alone(own_redis: RedisServer) -> None:
    store = make_store(own_redis)
    with redis.Redis(port=own_redis.port) as admin:
        admin.set(f"im:badge:{APP}:ann", "of somebody else")
        admin.hset(f"im:badge:{APP}:bob", mapping={"stale": "0", "unread": "1.5", "time": "1", "event_id": "x"})
    for name in ("ann", "bob"):
        with pytest.raises(ForeignKeyError, match=f"im:badge:{APP}:{name} .*delete that key"):
            await apply_events(store, badge_event("c", "cleo", 3, time=NOON_MS), badge_event("a", name, time=-NOON_MS))
    await apply_events(store, badge_event("c", "cleo", 3, time=NOON_MS))
    await store.close()


async def test_a_foreign_key_that_all_badges_need_is_waited_for(own_redis: RedisServer) -> None:
    store = make_store(own_redis)
    with redis.Redis(port=own_redis.port) as admin:
        admin.set("im:badges:apps", "of somebody else")
        with pytest.raises(RetryLater, match=r"im:badges:apps \(string\)"):
            await apply_events(store, badge_event("a", "ann", 3, time=NOON_MS))
        admin.delete("im:badges:apps")
    await apply_events(store, badge_event("a", "ann", 3, time=NOON_MS))
    await store.close()


async def test_the_new_password_in_the_file_is_taken_once_the_old_one_is_refused(
    own_redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "url"
    file.write_text(own_redis.url)
    monkeypatch.setenv("CONSUMERS_REDIS_URL_FILE", str(file))
    store = BadgeStore(ConsumersSettings.model_validate({}))
    with redis.Redis(port=own_redis.port) as admin, with_a_password(admin):
        admin.client_kill_filter(_type="normal", skipme=True)
        with pytest.raises(RetryLater, match="password"):
            await store.update({})
        file.write_text(f"redis://:secret@127.0.0.1:{own_redis.port}/0")
        with contextlib.suppress(RetryLater):
            await store.update({})
        await store.update({})
    await store.close()


@pytest.mark.parametrize("answer", [one for one in OF_CLUSTERS if not one.startswith("MOVED")])
async def test_a_proxy_that_takes_no_script_at_all_is_refused_at_the_start(
    redis_server: RedisServer, answer: str
) -> None:
    async with RespProxy(redis_server.port) as proxy:
        proxy.answers = {"EVALSHA": answer, "EVAL": answer, "INFO": "ERR unknown command 'INFO'"}
        store = BadgeStore(ConsumersSettings.model_validate({"redis_url": proxy.url}))
        with pytest.raises(WorkerRefusedError, match=r"does not run the script.*CONSUMERS_REDIS_URL"):
            await store.check()
        await store.close()


@pytest.mark.parametrize("answer", ["ERR unknown command 'EVALSHA'", "ERR DB index is out of range"])
async def test_a_server_that_cannot_run_the_script_is_refused_at_the_start(
    redis_server: RedisServer, answer: str
) -> None:
    async with RespProxy(redis_server.port) as proxy:
        proxy.answers = {"EVALSHA": answer, "EVAL": answer}
        store = BadgeStore(ConsumersSettings.model_validate({"redis_url": proxy.url}))
        with pytest.raises(WorkerRefusedError, match="CONSUMERS_REDIS_URL must lead to"):
            await store.check()
        await store.close()


async def test_a_server_that_forbids_info_is_no_cluster(redis_server: RedisServer) -> None:
    async with RespProxy(redis_server.port) as proxy:
        proxy.answers = {"INFO": "NOPERM User default has no permissions to run the 'info' command"}
        store = BadgeStore(ConsumersSettings.model_validate({"redis_url": proxy.url}))
        await store.check()
        await store.close()
