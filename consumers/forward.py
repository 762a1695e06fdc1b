"""Posts each callback to an HTTP handler that exists already, in the platform's own form: `consumers run forward`.

It is for a team that has a handler for the platform's callbacks and wants the bridge in front of it. The handler is
sent the body as it came and the query as it came without `Sign` and `RequestTime`; the bridge puts both into the
headers of its records when BRIDGE_KEEP_RAW is on. Of a batch callback each event is posted by itself. What the handler
replies is not looked at: the platform has its reply already.

* Posts of one account or group come in order, one at a time: a partition waits for the reply before it goes on.
* 2xx: done. 408, 429, 5xx, any redirect, no reply: the post is repeated for ever, with waits. Any other 4xx: the
  handler refuses this callback; it becomes a dead letter, to be replayed with `consumers dlq replay forward`. A handler
  that refuses one callback after the other is taken to be broken, see CONSUMERS_BREAKER_DEAD_LETTERS.
* At least once: after a crash some callbacks are posted again. `X-Im-Bridge-Event-Id` is the same each time.
* An event without the original (from before BRIDGE_KEEP_RAW was on) cannot be posted. It is skipped, with a warning and
  `consumers_forward_without_original_total`: it could not be posted later either, and would only fill the dead letters.

Every post has these headers; the last only where CONSUMERS_FORWARD_SECRET is set:

| header | value |
| --- | --- |
| `Content-Type` | `application/json` |
| `X-Im-Bridge-Event-Id` | id of the event, equal for every delivery of one callback |
| `X-Im-Bridge-Timestamp` | Unix seconds of the post |
| `X-Im-Bridge-Signature` | `v1=`, then lower-case hex: HMAC-SHA256 of timestamp, line feed, query, line feed, body |

The receiver computes the same with the secret over the raw query string and the raw body, compares in constant time,
and refuses a timestamp that is some minutes off. The query is signed too, since it names the app and the command.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Sequence
from urllib.parse import unquote_plus, urlsplit

import aiohttp
import msgspec
from aiokafka import ConsumerRecord
from yarl import URL

from common.logs import Throttle
from consumers.errors import PoisonError, RetryLater, WorkerRefusedError
from consumers.worker import BaseWorker, Context

log = logging.getLogger(__name__)

_REPLY_BYTES = 64 * 1024
_PASSING_STATUS = frozenset({408, 429})
_UNSIGNED = frozenset({"sign", "requesttime"})


class Original(msgspec.Struct, frozen=True):
    """A callback as the platform sent it."""

    event_id: str
    query: str
    body: bytes
    place: tuple[str, int, int]
    """Topic, partition and offset of its record."""


class _Id(msgspec.Struct):
    id: str


_id_of = msgspec.json.Decoder(_Id).decode


class Forward(BaseWorker[Original]):
    """The worker."""

    name = "forward"
    max_events = 20
    """They are posted one after the other; after a rebalance no more than these are posted again."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._throttle = Throttle(60.0)
        self._posted: dict[tuple[str, int], set[int]] = {}
        """Offsets of the unfinished batch of each partition that are posted: it comes again as a whole."""

    def read(self, record: ConsumerRecord) -> Original | None:
        """The original of an event, None where its record has none."""
        headers = dict(record.headers)
        event_id = _id_of(record.value or b"").id
        if "raw-body" not in headers or "raw-query" not in headers:
            self._without.inc()
            if self._throttle.admits("without"):
                log.warning(
                    "an event without the original callback is skipped (%s-%d offset %d, %d more before): set "
                    "BRIDGE_KEEP_RAW=true where the bridge runs",
                    record.topic,
                    record.partition,
                    record.offset,
                    self._throttle.suppressed("without"),
                )
            return None
        query = _unsigned(headers["raw-query"].decode(errors="replace"))
        return Original(event_id, query, headers["raw-body"], (record.topic, record.partition, record.offset))

    async def start(self, context: Context) -> None:
        """Get ready to post; the handler need not be there yet.

        Raises:
            WorkerRefusedError: CONSUMERS_FORWARD_URL is not set.
        """
        settings = context.settings
        if settings.forward_url is None:
            raise WorkerRefusedError("CONSUMERS_FORWARD_URL is not set: give it the address of your handler, or --url")
        parts = urlsplit(settings.forward_url)
        self._url, _, self._own_query = settings.forward_url.partition("?")
        self._shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
        self._secret = settings.forward_secret.get_secret_value().encode() if settings.forward_secret else None
        self._metrics = context.metrics
        self._without = context.metrics.counter(
            "forward_without_original", "Events skipped for want of the original callback, see BRIDGE_KEEP_RAW."
        ).labels(context.metrics.worker)
        self._posts = context.metrics.counter(
            "forward_posts", "Posts by status class: 2xx, …; none: no reply.", "status"
        )
        await self.stop()
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=settings.forward_timeout_s),
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def handle(self, batch: Sequence[Original]) -> None:
        """Post each callback and wait for its reply, in their order."""
        topic, partition, _ = batch[0].place
        posted = self._posted.setdefault((topic, partition), set())
        for original in batch:
            offset = original.place[2]
            if offset not in posted:
                await self._post(original)
                posted.add(offset)
        # What is left over of a batch that went to another process would be in the way of nothing, but grow.
        self._posted[topic, partition] = {offset for offset in posted if offset > batch[-1].place[2]}

    async def stop(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, original: Original) -> None:
        assert self._session is not None, "a worker is started before it handles"
        query = "&".join(part for part in (self._own_query, original.query) if part)
        try:
            async with self._session.post(
                URL(f"{self._url}?{query}", encoded=True),
                data=original.body,
                headers=self._headers(original, query),
                allow_redirects=False,
            ) as response:
                status = response.status
                await response.content.read(_REPLY_BYTES)  # else the connection could not be used again
        except ValueError as error:
            raise PoisonError(original, f"its query is none that HTTP can carry ({type(error).__name__})") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self._count("none", connected=False)
            raise RetryLater(f"{self._shown} does not answer ({type(error).__name__})") from error
        self._count(f"{status // 100}xx", connected=True)
        if 200 <= status < 300:
            return
        if 400 <= status < 500 and status not in _PASSING_STATUS:
            raise PoisonError(original, f"{self._shown} answers with HTTP status {status}")
        raise RetryLater(f"{self._shown} answers with HTTP status {status}")

    def _headers(self, original: Original, query: str) -> dict[str, str]:
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-Im-Bridge-Event-Id": original.event_id,
            "X-Im-Bridge-Timestamp": timestamp,
        }
        if self._secret is not None:
            headers["X-Im-Bridge-Signature"] = signature(self._secret, timestamp, query, original.body)
        return headers

    def _count(self, status: str, *, connected: bool) -> None:
        self._posts.labels(self._metrics.worker, status).inc()
        self._metrics.set_connected("handler", connected)


def signature(secret: bytes, timestamp: str, query: str, body: bytes) -> str:
    """The value of `X-Im-Bridge-Signature`."""
    signed = f"{timestamp}\n{query}\n".encode() + body
    return f"v1={hmac.digest(secret, signed, hashlib.sha256).hex()}"


def _unsigned(query: str) -> str:
    pairs = query.removeprefix("?").split("&")
    return "&".join(pair for pair in pairs if unquote_plus(pair.partition("=")[0]).lower() not in _UNSIGNED)
