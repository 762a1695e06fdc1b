"""Stale badges and the platform that knows their numbers: our own server for its API, a real Redis, a real Kafka."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from common.settings import load
from consumers.badges.badge_event import collect, read_badge_event
from consumers.badges.store import BadgeStore, Events, Owner
from consumers.metrics import Metrics
from consumers.reconcile.reconciler import _App
from consumers.reconcile.rest import CallError, RestApi, classify
from consumers.reconcile.usersig import tls_sig, user_sig
from consumers.runtime.producer import OutgoingRecord
from consumers.runtime.status import WaitStatus
from consumers.settings import SITES, ConsumersSettings, ImApp
from consumers.worker import Context
from tests.support.badge_model import NOON, badge_event, produce, rfc3339
from tests.support.broker import Broker
from tests.support.im_platform import ADMIN, APP_ID, SECRET_KEY, ImPlatform, signature_fault, unpack_user_sig
from tests.support.redis import RedisServer
from tests.support.topic import Topics, read_all
from tests.support.waiting import wait_until
from tests.support.workers import Make, started_workers

_apps = itertools.count(1_400_100_000)


@pytest.fixture
def platform() -> Iterator[ImPlatform]:
    with ImPlatform() as server:
        yield server


@pytest.fixture
def start(tmp_path: Path, topics: Topics) -> Iterator[Make]:
    with started_workers(tmp_path, topics) as make:
        yield make


# -- The signature and the call ----------------------------------------------------------------------------------------


def test_the_signature_is_that_of_the_platforms_own_package() -> None:
    made = tls_sig(APP_ID, SECRET_KEY, "xiaojun", now=1_600_000_000, expires_s=15_552_000)
    assert made == "1Z5PngDjGaufeSiPoBuxdHY7EK3JTdAjMP93S4KvV3M="


def test_a_user_sig_is_unpacked_to_the_documented_fields_and_holds_no_sign_that_a_url_changes() -> None:
    sig = user_sig(APP_ID, SECRET_KEY, ADMIN, now=1_600_000_000, expires_s=60)
    assert not set(sig) & set("+/=&?%")
    document = unpack_user_sig(sig)
    assert document.keys() == {"TLS.ver", "TLS.identifier", "TLS.sdkappid", "TLS.expire", "TLS.time", "TLS.sig"}
    assert (document["TLS.sdkappid"], document["TLS.expire"], document["TLS.time"]) == (
        1_400_000_000,
        60,
        1_600_000_000,
    )
    assert signature_fault(sig) == 70001
    assert signature_fault(user_sig(APP_ID, SECRET_KEY, ADMIN, now=int(time.time()), expires_s=60)) == 0
    assert signature_fault(user_sig(APP_ID, "another key", ADMIN, now=int(time.time()), expires_s=60)) == 70009


@pytest.mark.parametrize(
    ("codes", "error_class"),
    [
        ((60007, 60011, 60019), "busy"),
        ((60002, 60003, 60004, 60006, 60010, 60012, 60020, 70001, 70009, 70013, 90009), "refused"),
        ((70107, 90003, 90012, 90048), "account"),
        ((60008, 60009, 60014, 70169, 70500, 90992, 90994, 91000, 12345), "failing"),
    ],
)
def test_error_codes_have_the_class_that_says_what_to_do(codes: tuple[int, ...], error_class: str) -> None:
    assert {classify(code) for code in codes} == {error_class}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("china", "https://console.tim.qq.com"),
        ("singapore", "https://adminapisgp.im.qcloud.com"),
        ("im.example.org", "https://im.example.org"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000"),
    ],
)
def test_the_host_is_chosen_by_site_name_or_address(host: str, url: str) -> None:
    assert ImApp.model_validate({"secret_key": "x", "host": host}).url == url
    assert len(SITES) == 7


@pytest.mark.parametrize(
    ("host_answers", "error_class"), [("http:502", "failing"), (60002, "refused"), (60011, "busy"), (90012, "account")]
)
async def test_a_failed_call_says_what_is_wrong_without_the_signature(
    platform: ImPlatform, host_answers: int | str, error_class: str
) -> None:
    platform.fault = lambda _: host_answers
    app = ImApp.model_validate({"secret_key": SECRET_KEY, "host": platform.url})
    async with aiohttp.ClientSession() as session:
        with pytest.raises(CallError) as caught:
            await RestApi(session, APP_ID, app, timeout_s=2).unread("ann")
    assert caught.value.error_class == error_class
    assert "usersig" not in str(caught.value)
    assert caught.value.__context__ is None or "usersig" not in str(caught.value.__context__)


async def test_a_platform_that_is_slow_or_away_is_failing(platform: ImPlatform) -> None:
    platform.delay_s = 5
    slow = ImApp.model_validate({"secret_key": SECRET_KEY, "host": platform.url})
    away = ImApp.model_validate({"secret_key": SECRET_KEY, "host": "http://127.0.0.1:1"})
    async with aiohttp.ClientSession() as session:
        for app in (slow, away):
            with pytest.raises(CallError) as caught:
                await RestApi(session, APP_ID, app, timeout_s=0.2).unread("ann")
            assert caught.value.error_class == "failing"


def test_wrong_credentials_are_explained_without_the_key_and_empty_ones_are_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ['{"x":{"secret_key":"hidden"}}', '{"1":{"secret_key":"hidden","hosts":"china"}}', '{"1":"hidden"']
    for text in wrong:
        monkeypatch.setenv("CONSUMERS_IM_APPS", text)
        with pytest.raises(SystemExit):
            load(ConsumersSettings)
        shown = capsys.readouterr().err
        assert shown.startswith("error: CONSUMERS_IM_APPS: ")
        assert "hidden" not in shown
    monkeypatch.setenv("CONSUMERS_IM_APPS", "")
    monkeypatch.setenv("CONSUMERS_FORWARD_URL", "")
    assert load(ConsumersSettings).im_apps == {}
    assert "hidden" not in repr(ConsumersSettings.model_validate({"im_apps": '{"1":{"secret_key":"hidden"}}'}))


# -- The work on a real Redis ------------------------------------------------------------------------------------------


class Desk:
    """One app's work in this process; what it publishes is kept."""

    def __init__(self, server: RedisServer, platform: ImPlatform, **settings: Any) -> None:
        self.app_id = str(next(_apps))
        self.published: list[dict[str, Any]] = []
        self.metrics = Metrics("reconcile")
        self._settings = ConsumersSettings.model_validate(
            {"redis_url": server.url, "reconcile_delay_s": 0, "reconcile_lease_s": 1, "reconcile_timeout_s": 0.5}
            | settings
        )
        self._app = ImApp.model_validate({"secret_key": SECRET_KEY, "host": platform.url})
        self._tasks: list[asyncio.Task[Any]] = []

    async def publish(self, _topic: str, records: list[OutgoingRecord]) -> None:
        self.published += [orjson.loads(record.value) for record in records]

    async def __aenter__(self) -> Desk:
        self.store = BadgeStore(self._settings)
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        await self.store.close()

    def begin(self) -> None:
        context = Context(self._settings, self, self.metrics, alone=False)  # type: ignore[arg-type]
        api = RestApi(self._session, self.app_id, self._app, timeout_s=self._settings.reconcile_timeout_s)
        waiting = WaitStatus(self.metrics.waiting.set)
        self._tasks.append(asyncio.create_task(_App(self.app_id, api, self.store, context, waiting).run()))

    async def apply(self, *events: dict[str, Any]) -> None:
        await apply(self.store, *events)

    def event(self, event_id: str, account: str, unread: int | None = None, *, at: int = 0) -> dict[str, Any]:
        return badge_event(event_id, account, unread, time=NOON - 1000 + at, app=self.app_id)

    async def badge(self, account: str) -> tuple[int | None, str | None, bool]:
        [badge] = await self.store.update({Owner(self.app_id, account): []})
        return badge.unread, badge.event_id, badge.stale

    async def until(self, condition: Callable[[], Awaitable[object]], timeout: float = 10) -> None:
        async with asyncio.timeout(timeout):
            while not await condition():  # noqa: ASYNC110 - Redis sets no event
                await asyncio.sleep(0.02)

    async def until_badge(self, account: str, badge: tuple[int | None, str | None, bool]) -> None:
        async def reached() -> bool:
            return await self.badge(account) == badge

        await self.until(reached)

    def count(self, name: str, outcome: str) -> float:
        return (
            self.metrics.registry.get_sample_value(
                f"consumers_{name}_total", {"worker": "reconcile", "app": self.app_id, "outcome": outcome}
            )
            or 0.0
        )


async def apply(store: BadgeStore, *events: dict[str, Any]) -> None:
    of_owner: dict[Owner, Events] = {}
    for event in events:
        if (read := read_badge_event(orjson.dumps(event))) is not None:
            collect(read, of_owner)
    await store.update(of_owner)


@pytest.fixture
async def desk(redis_server: RedisServer, platform: ImPlatform) -> AsyncIterator[Desk]:
    async with Desk(redis_server, platform) as made:
        yield made


def meanwhile(server: RedisServer, *events: dict[str, Any]) -> None:
    """Apply events from another thread, as another process would."""

    async def work() -> None:
        store = BadgeStore(ConsumersSettings.model_validate({"redis_url": server.url}))
        await apply(store, *events)
        await store.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work()).result()


async def test_a_stale_badge_takes_the_number_of_the_platform_and_the_place_of_the_event(
    desk: Desk, platform: ImPlatform
) -> None:
    platform.counts["ann"] = 12
    await desk.apply(desk.event("a", "ann", 3), desk.event("b", "ann", at=5))
    desk.begin()
    await desk.until_badge("ann", (12, "b", False))
    await desk.until(lambda: _is(lambda: desk.published))
    assert desk.published == [
        {
            "app_id": desk.app_id,
            "account": "ann",
            "unread": 12,
            "time": rfc3339(NOON - 995),
            "event_id": "b",
            "stale": False,
        }
    ]


async def _is(condition: Callable[[], object]) -> object:
    return condition()


async def test_events_after_the_call_decide_as_if_the_number_had_come_with_the_event(
    desk: Desk, platform: ImPlatform
) -> None:
    platform.counts["ann"] = 12
    await desk.apply(desk.event("b", "ann", at=5))
    desk.begin()
    await desk.until_badge("ann", (12, "b", False))
    await desk.apply(desk.event("b", "ann", at=5), desk.event("old", "ann", 99, at=4))
    assert await desk.badge("ann") == (12, "b", False), "read again, and older"
    await desk.apply(desk.event("new", "ann", 1, at=6))
    assert await desk.badge("ann") == (1, "new", False)


async def test_a_newer_count_that_came_meanwhile_stands(
    desk: Desk, platform: ImPlatform, redis_server: RedisServer
) -> None:
    platform.counts["ann"] = 12
    platform.before_answer = lambda _: meanwhile(redis_server, desk.event("new", "ann", 4, at=9))
    await desk.apply(desk.event("b", "ann", at=5))
    desk.begin()
    await desk.until(lambda: _is(lambda: desk.count("reconciled_badges", "overtaken")))
    assert await desk.badge("ann") == (4, "new", False)
    await desk.until(lambda: _is(lambda: desk.published))
    assert desk.published[-1]["unread"] == 4


async def test_a_badge_that_became_stale_anew_meanwhile_is_asked_about_again(
    desk: Desk, platform: ImPlatform, redis_server: RedisServer
) -> None:
    platform.counts["ann"] = 12

    def once(_: str) -> None:
        if platform.asked("ann") == 1:
            meanwhile(redis_server, desk.event("c", "ann", at=9))
            platform.counts["ann"] = 13

    platform.before_answer = once
    await desk.apply(desk.event("b", "ann", at=5))
    desk.begin()
    await desk.until_badge("ann", (13, "c", False))
    assert platform.asked("ann") == 2


async def test_an_account_that_the_platform_does_not_know_holds_up_no_other(desk: Desk, platform: ImPlatform) -> None:
    platform.counts |= {f"user-{number}": number for number in range(30)}
    await desk.apply(desk.event("b", "nobody"), *(desk.event("b", f"user-{number}") for number in range(30)))
    desk.begin()
    for number in range(30):
        await desk.until_badge(f"user-{number}", (number, "b", False))
    assert platform.asked("nobody") == 1
    assert await desk.badge("nobody") == (None, None, True)


async def test_a_call_that_fails_is_repeated_until_it_succeeds(desk: Desk, platform: ImPlatform) -> None:
    platform.counts["ann"] = 2
    faults: list[int | str | None] = [None, 60011, 91000, "http:502"]
    platform.fault = lambda _: faults.pop() if faults else None
    await desk.apply(desk.event("b", "ann"))
    desk.begin()
    faults.pop(0)
    await desk.until_badge("ann", (2, "b", False))
    assert platform.asked("ann") == 4
    assert (desk.count("reconcile_calls", "failing"), desk.count("reconcile_calls", "busy")) == (2, 1)


async def test_after_a_refused_signature_no_other_account_is_asked_about_for_a_while(
    desk: Desk, platform: ImPlatform
) -> None:
    platform.counts |= {f"user-{number}": 1 for number in range(200)}
    platform.fault = lambda _: 60002
    await desk.apply(*(desk.event("b", f"user-{number}") for number in range(200)))
    desk.begin()
    await desk.until(lambda: _is(lambda: platform.calls))
    await asyncio.sleep(0.8)
    assert len(platform.calls) <= 50, "those that had begun"
    gauge = "consumers_reconcile_breaker_open"
    assert desk.metrics.registry.get_sample_value(gauge, {"worker": "reconcile", "app": desk.app_id}) == 1
    platform.fault = lambda _: None
    await desk.until(lambda: _is(lambda: desk.count("reconciled_badges", "settled") == 200), timeout=20)
    assert desk.metrics.registry.get_sample_value(gauge, {"worker": "reconcile", "app": desk.app_id}) == 0


async def test_the_rate_of_calls_is_kept_by_all_processes_together(
    redis_server: RedisServer, platform: ImPlatform
) -> None:
    platform.rate = 45
    accounts = [f"user-{number}" for number in range(80)]
    platform.counts |= dict.fromkeys(accounts, 7)
    async with Desk(redis_server, platform, reconcile_calls_per_s=40) as desk:
        await desk.apply(*(desk.event("b", account) for account in accounts))
        for _ in range(3):
            desk.begin()
        await desk.until(lambda: _is(lambda: desk.count("reconciled_badges", "settled") == 80))
        assert desk.count("reconcile_calls", "busy") == 0
        assert len(platform.calls) == 80, "each was asked about once"
        assert platform.most_in_a_second > 25, "and it was not idle"


async def test_a_badge_that_was_settled_and_not_published_is_published_when_its_lease_has_ended(
    desk: Desk, platform: ImPlatform
) -> None:
    """As `kill -9` between the write to Redis and the confirmation of Kafka leaves it."""
    from consumers.reconcile.stale import StaleBadges

    stale, owner = StaleBadges(desk.store), Owner(desk.app_id, "ann")
    await desk.apply(desk.event("b", "ann"))
    assert await stale.take(desk.app_id, 9, calls_per_s=100, delay_s=0, lease_s=1) == ["ann"]
    assert await stale.settle(owner, await stale.see(owner), 5)
    desk.begin()
    await desk.until(lambda: _is(lambda: desk.published))
    assert desk.published[0]["unread"] == 5
    assert not platform.calls
    await desk.until(lambda: _is_zero(stale, desk.app_id))


async def _is_zero(stale: Any, app_id: str) -> bool:
    return bool(await stale.count(app_id) == 0)


async def test_a_newer_count_takes_a_badge_off_the_stale_ones(desk: Desk) -> None:
    from consumers.reconcile.stale import StaleBadges

    stale = StaleBadges(desk.store)
    await desk.apply(desk.event("b", "ann"), desk.event("b", "bob"))
    assert await stale.count(desk.app_id) == 2
    await desk.apply(desk.event("c", "ann", 3, at=5))
    assert await stale.take(desk.app_id, 9, calls_per_s=100, delay_s=0, lease_s=1) == ["bob"]


async def test_the_topic_ends_with_the_settled_badge_although_the_worker_was_slow_to_publish_the_stale_one(
    desk: Desk, redis_server: RedisServer
) -> None:
    from consumers.badges.worker import Badges
    from consumers.reconcile.stale import StaleBadges

    owner = Owner(desk.app_id, "ann")

    class SlowKafka:
        async def publish(self, topic: str, records: list[OutgoingRecord]) -> None:
            if not desk.published:
                stale = StaleBadges(desk.store)
                assert await stale.settle(owner, await stale.see(owner), 5)
            await desk.publish(topic, records)

    worker = Badges()
    settings = ConsumersSettings.model_validate({"redis_url": redis_server.url})
    await worker.start(Context(settings, SlowKafka(), Metrics("badges")))  # type: ignore[arg-type]
    event = read_badge_event(orjson.dumps(desk.event("b", "ann")))
    assert event is not None
    await worker.handle([event])
    await worker.stop()
    assert [(badge["unread"], badge["stale"]) for badge in desk.published] == [(None, True), (5, False)]


# -- The process -------------------------------------------------------------------------------------------------------


def test_without_credentials_it_says_so_and_stays_up_and_ready(start: Make) -> None:
    process = start("reconcile", "127.0.0.1:1", CONSUMERS_REDIS_URL="redis://127.0.0.1:1/0")
    process.wait_for_log("off: CONSUMERS_IM_APPS is not set")
    assert process.terminate() == 0


def test_a_count_that_no_event_tells_reaches_redis_and_the_topic_through_kill_9_at_each_step(  # noqa: PLR0917 - fixtures
    own_broker: Broker, own_redis: RedisServer, topics: Topics, platform: ImPlatform, start: Make, tmp_path: Path
) -> None:
    topics.create(own_broker.bootstrap)
    secret = tmp_path / "apps.json"
    secret.write_text(platform.credentials())
    settings = {
        "CONSUMERS_REDIS_URL": own_redis.url,
        "CONSUMERS_IM_APPS_FILE": str(secret),
        "CONSUMERS_RECONCILE_DELAY_S": "0",
        "CONSUMERS_RECONCILE_LEASE_S": "1",
        "CONSUMERS_RECONCILE_TIMEOUT_S": "20",
    }
    start("badges", own_broker.bootstrap, **settings)
    process = start("reconcile", own_broker.bootstrap, **settings)
    platform.counts["ann"] = 3

    def last() -> dict[str, Any]:
        badges = [message.event for message in read_all(own_broker.bootstrap, topics.badges)]
        return badges[-1] if badges else {}

    def recall(number: int) -> None:
        produce(own_broker.bootstrap, topics.events, [badge_event(f"e{number}", "ann", time=NOON + number)])

    recall(1)
    wait_until(lambda: last().get("unread") == 3, timeout=15, what="the number on the topic", every=0.1)
    assert last()["stale"] is False

    # While the platform is asked.
    platform.delay_s, platform.counts["ann"] = 3.0, 4
    recall(2)
    process.wait_for(lambda: in_work(own_redis), what="a call")
    process.kill()
    platform.delay_s = 0.0
    process.start_ready()
    wait_until(lambda: last().get("unread") == 4, timeout=15, what="the number on the topic", every=0.1)

    # Between Redis and Kafka.
    platform.delay_s, platform.counts["ann"] = 1.0, 5
    recall(3)
    process.wait_for(lambda: in_work(own_redis), what="a call")
    own_broker.kill()
    wait_until(lambda: unread(own_redis) == b"5", timeout=15, what="the number in Redis")
    process.kill()
    own_broker.start()
    assert last()["unread"] == 4
    process.start_ready()
    wait_until(lambda: last().get("unread") == 5, timeout=15, what="the number on the topic", every=0.1)
    assert SECRET_KEY not in process.log.read_text()


def in_work(server: RedisServer) -> bool:
    import redis

    with redis.Redis(port=server.port) as client:
        return bool(client.zcard(f"im:badges:asking:{APP_ID}"))


def unread(server: RedisServer) -> bytes | None:
    import redis

    with redis.Redis(port=server.port) as client:
        stored: bytes | None = client.hget(f"im:badge:{APP_ID}:ann", "unread")
    return stored


def test_a_wrong_secret_key_is_named_and_not_shown(
    broker: Broker, own_redis: RedisServer, topics: Topics, platform: ImPlatform, start: Make
) -> None:
    topics.create(broker.bootstrap)
    wrong = "this-is-the-wrong-secret-key"
    settings = {
        "CONSUMERS_REDIS_URL": own_redis.url,
        "CONSUMERS_IM_APPS": platform.credentials(secret_key=wrong),
        "CONSUMERS_RECONCILE_DELAY_S": "0",
    }
    meanwhile(own_redis, badge_event("b", "ann", time=NOON - 5))
    process = start("reconcile", broker.bootstrap, **settings)
    process.wait_for_log(r"calls for app 1400000000 are stopped .* error 70009.* See CONSUMERS_IM_APPS")
    assert process.metric("consumers_reconcile_breaker_open") == 1
    assert wrong not in process.log.read_text()
    assert process.terminate() == 0
