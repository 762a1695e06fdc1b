"""Posts each callback to an HTTP handler that exists already, in the platform's own form: `consumers run forward`.

It is for a team that has a handler for the platform's callbacks and wants the bridge in front of it. The handler is
sent the body as it came and the query as it came without `Sign` and `RequestTime`; the bridge puts both into the
headers of its records when BRIDGE_KEEP_RAW is on. Of a batch callback each event is posted by itself. What the handler
replies is not looked at: the platform has its reply already.

* Posts of one account or group come in order, one at a time: a partition waits for the reply before it goes on.
* 2xx: done. 408, 429, 5xx, any redirect, no reply: the post is repeated for ever, with waits. Any other 4xx: the
  handler refuses this callback; it becomes a dead letter, to be replayed with `consumers dlq replay forward`. A handler
  that refuses one callback after the other is taken to be broken, see CONSUMERS_BREAKER_DEAD_LETTERS.
* The query is posted byte for byte as it came, but for what a request line cannot carry (a space, a `#`, what is no
  ASCII): that is percent-encoded.
* At least once: after a crash some callbacks are posted again. `X-Im-Bridge-Event-Id` is the same each time.
* An event without the original (from before BRIDGE_KEEP_RAW was on) cannot be posted. It is skipped, with a warning and
  `consumers_forward_without_original_total`: it could not be posted later either, and would only fill the dead letters.

Every post has these headers; the signature only where CONSUMERS_FORWARD_SECRET is set, the last two only of what is
traced:

| header | value |
| --- | --- |
| `Content-Type` | `application/json` |
| `X-Im-Bridge-Event-Id` | id of the event, equal for every delivery of one callback |
| `X-Im-Bridge-Timestamp` | Unix seconds of the post |
| `X-Im-Bridge-Signature` | `v1=`, then lower-case hex: HMAC-SHA256 of timestamp, line feed, query, line feed, body |
| `traceparent`, `tracestate` | the trace that the callback belongs to: https://www.w3.org/TR/trace-context/ |

The receiver computes the same with the secret over the raw query string and the raw body, compares in constant time,
and refuses a timestamp that is some minutes off. The query is signed too, since it names the app and the command.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import re
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiokafka import ConsumerRecord
from yarl import URL

from common.logs import Throttle, fields
from common.query_string import unsigned
from common.tracing.context import TRACEPARENT, TRACESTATE
from common.tracing.tracer import Span
from consumers.errors import PoisonError, RetryLater, WorkerRefusedError
from consumers.metrics import FORWARD_POSTS, FORWARD_WITHOUT_ORIGINAL
from consumers.worker import BaseWorker, Context

log = logging.getLogger(__name__)

_MAX_READ_REPLY_BYTES = 64 * 1024
_TRACE_HEADERS = frozenset({TRACEPARENT, TRACESTATE})
_WARNING_INTERVAL_S = 60.0
_NOT_CARRIED = re.compile(rb"[^\x21-\x7e]|#")
_PASSING_STATUS = frozenset({408, 429})


class OriginalCallback(msgspec.Struct, frozen=True):
    """A callback as the platform sent it, but for its signature."""

    event_id: str
    query: str
    """Raw query string, without its `?`, `Sign` and `RequestTime`."""
    body: bytes
    topic: str
    partition: int
    offset: int
    headers: Sequence[tuple[str, bytes]] = ()
    """Those of the record that say which trace it belongs to."""


class _IdOnly(msgspec.Struct):
    id: str


_decode_id = msgspec.json.Decoder(_IdOnly).decode


class Forward(BaseWorker[OriginalCallback]):
    """Posts the callback of each event to CONSUMERS_FORWARD_URL, one after the other in a partition."""

    name = "forward"
    max_events = 20
    """After a rebalance no more than these are posted again."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._throttle = Throttle(_WARNING_INTERVAL_S)
        self._posted: dict[tuple[str, int], set[int]] = {}
        """Topic and partition → offsets of its unfinished batch that are posted: the batch comes again as a whole."""

    def read(self, record: ConsumerRecord) -> OriginalCallback | None:
        """The original of an event, None where its record has none.

        Raises:
            msgspec.DecodeError: the record carries no event.
        """
        headers = dict(record.headers)
        event_id = _decode_id(record.value or b"").id
        if headers.get("raw-body") is None or headers.get("raw-query") is None:
            self._skip(record)
            return None
        # The bridge keeps no signature, but whoever wrote the record may have been another one.
        query = unsigned(carried(headers["raw-query"]).removeprefix("?"))
        trace = () if TRACEPARENT not in headers else tuple(one for one in record.headers if one[0] in _TRACE_HEADERS)
        return OriginalCallback(
            event_id, query, headers["raw-body"], record.topic, record.partition, record.offset, trace
        )

    async def start(self, context: Context) -> None:
        """Get ready to post; the handler need not be there yet.

        Raises:
            WorkerRefusedError: CONSUMERS_FORWARD_URL is not set.
        """
        settings = context.settings
        if settings.forward_url is None:
            raise WorkerRefusedError("CONSUMERS_FORWARD_URL is not set: give it the address of your handler, or --url")
        parts = urlsplit(settings.forward_url)
        url, _, own_query = settings.forward_url.partition("?")
        self._url, self._own_query = URL(url), carried(own_query.encode())
        self._shown_url = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
        self._settings = settings
        self._context = context
        self._metrics = context.metrics
        without_original = context.metrics.own_counter(FORWARD_WITHOUT_ORIGINAL)
        self._without_original = without_original.labels(context.metrics.worker)
        self._posts = context.metrics.own_counter(FORWARD_POSTS)
        await self.stop()
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=settings.forward_timeout_s),
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # replies are not looked at
        )

    async def handle(self, batch: Sequence[OriginalCallback]) -> None:
        """Post each callback and wait for its reply, in their order.

        Raises:
            RetryLater: the handler does not answer, or asks for another attempt. What was posted is not posted again.
            PoisonError: the handler refuses a callback, or HTTP cannot carry it.
        """
        posted = self._posted.setdefault((batch[0].topic, batch[0].partition), set())
        for original in batch:
            if original.offset not in posted:
                await self._post(original)
                posted.add(original.offset)
        # What is left over of a batch that went to another process would be in the way of nothing, but grow.
        last = batch[-1]
        self._posted[last.topic, last.partition] = {offset for offset in posted if offset > last.offset}

    async def stop(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _skip(self, record: ConsumerRecord) -> None:
        self._without_original.inc()
        if self._throttle.admits("without"):
            log.warning(
                "an event without the original callback is skipped (%s-%d offset %d, %d more before): set "
                "BRIDGE_KEEP_RAW=true where the bridge runs",
                record.topic,
                record.partition,
                record.offset,
                self._throttle.suppressed("without"),
                extra=fields("skipped", topic=record.topic, partition=record.partition, offset=record.offset),
            )

    async def _post(self, original: OriginalCallback) -> None:
        span = self._context.begin_question(
            "post to handler", original, http__request__method="POST", server__address=self._url.host or ""
        )
        error = "broken off: the batch comes again"
        try:
            await self._ask(original, span)
            error = ""
        except (RetryLater, PoisonError) as failed:
            error = str(failed)
            raise
        finally:
            if span is not None:
                span.end(error=error)

    async def _ask(self, original: OriginalCallback, span: Span | None) -> None:
        assert self._session is not None, "a worker is started before it handles"
        query = "&".join(part for part in (self._own_query, original.query) if part)
        try:
            async with self._session.post(
                URL(f"{self._url}?{query}", encoded=True),  # or it would be written in another way than it was signed
                data=original.body,
                headers=self._headers(original, query, span),
                allow_redirects=False,
            ) as response:
                status = response.status
                if 200 <= status < 300:
                    # Else the connection could not be used again; but the post is accepted, whatever comes of that.
                    with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                        await response.content.read(_MAX_READ_REPLY_BYTES)
                else:
                    response.close()  # The next attempt looks up the host anew: this one may be on its way out.
        except (
            aiohttp.ClientError,
            OSError,
            TimeoutError,
        ) as error:  # First: one of a certificate is a ValueError too.
            self._count("none", connected=False)
            raise RetryLater(f"{self._shown_url} {_why_unanswered(error)}") from error
        except ValueError as error:
            raise PoisonError(original, f"its id is none that HTTP can carry ({type(error).__name__})") from error
        if span is not None:
            span.note(http__response__status_code=status)
        self._count(f"{status // 100}xx", connected=True)
        if 200 <= status < 300:
            return
        if 400 <= status < 500 and status not in _PASSING_STATUS:
            raise PoisonError(original, f"{self._shown_url} answers with HTTP status {status}")
        raise RetryLater(f"{self._shown_url} answers with HTTP status {status}")

    def _headers(self, original: OriginalCallback, query: str, span: Span | None) -> dict[str, str]:
        timestamp = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "X-Im-Bridge-Event-Id": original.event_id,
            "X-Im-Bridge-Timestamp": timestamp,
            **(self._context.trace_headers(original) if span is None else span.context.http_headers),
        }
        if secret := self._settings.latest().forward_secret:
            key = secret.get_secret_value().encode()
            headers["X-Im-Bridge-Signature"] = signature(key, timestamp, query, original.body)
        return headers

    def _count(self, status: str, *, connected: bool) -> None:
        self._posts.labels(self._metrics.worker, status).inc()
        self._metrics.set_connected("handler", connected)


def _why_unanswered(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError | aiohttp.ClientConnectorCertificateError):
        return "has a certificate that is not accepted here: renew it, or let this machine trust who signed it"
    return f"does not answer ({type(error).__name__})"


def carried(query: bytes) -> str:
    """A raw query string with all that a request line cannot carry percent-encoded, and nothing else changed.

    That is what is signed, and what is sent: spaces, `#`, control characters, and all that is not ASCII.
    """
    return _NOT_CARRIED.sub(lambda found: b"%%%02X" % found[0][0], query).decode("ascii")


def signature(secret: bytes, timestamp: str, query: str, body: bytes) -> str:
    """The value of `X-Im-Bridge-Signature`; this module's docstring says of what.

    Args:
        secret: CONSUMERS_FORWARD_SECRET.
        timestamp: Unix seconds, as in `X-Im-Bridge-Timestamp`.
        query: the raw query string of the post, without its `?`.
        body: of the post.
    """
    signed = f"{timestamp}\n{query}\n".encode() + body
    return f"v1={hmac.digest(secret, signed, hashlib.sha256).hex()}"
