"""The HTTP side: each callback goes through verify, normalize and journal; the reply leaves when it is durable."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError
from multidict import MultiMapping, istr

from bridge import metrics
from bridge.events import registry
from bridge.http.connection import Connection
from bridge.http.response import ReadyMadeReply
from bridge.ingress import replies
from bridge.ingress.decisions import Decider, Decision, Endpoint
from bridge.ingress.verify import AddressFilter, Refusal, Verifier
from bridge.journal.journal import Journal, JournalFullError
from bridge.journal.record import Record
from bridge.normalize.content import command_in
from bridge.normalize.normalizer import Normalizer, Received, UnreadableError, decided
from bridge.query import Query, parse_query
from bridge.settings import BridgeSettings
from common.logs import Throttle

log = logging.getLogger(__name__)

TRACEPARENT_HEADER = istr("traceparent")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
DOCUMENTED_PARAMETERS = frozenset(
    ("sdkappid", "callbackcommand", "contenttype", "clientip", "optplatform", "sign", "requesttime")
)
USUAL = frozenset(
    entry.callback.command for entry in registry.ENTRIES if not entry.callback.is_before and not entry.callback.batch
)
"""Commands whose callback becomes one record, and whose reply is always the same."""
REPLY_RESERVE = 0.02
"""Seconds before the reply deadline at which a decided callback waits no longer to become durable."""
MESSAGES = {
    Refusal.ADDRESS: "this address may not post callbacks",
    Refusal.UNKNOWN_APP: "SdkAppid is none of the configured apps",
    Refusal.SIGNATURE_MISSING: "Sign and RequestTime are required: set the callback token in the console",
    Refusal.BAD_SIGNATURE: "Sign does not fit RequestTime and the configured token",
    Refusal.STALE_TIME: "RequestTime is too far from the time here",
}


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """The request is answered without being acknowledged."""

    def __init__(self, status: HTTPStatus, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


class Ingress:
    """Handles the requests of one process.

    Args:
        settings: apps, limits, topics.
        journal: makes records durable.
    """

    def __init__(self, settings: BridgeSettings, journal: Journal) -> None:
        self._settings = settings
        self._journal = journal
        self._verifier = Verifier(
            {app: [token.get_secret_value() for token in tokens] for app, tokens in settings.apps.items()},
            window=settings.clock_skew_s,
        )
        self._addresses = AddressFilter(settings.allowed_networks, settings.trusted_proxies)
        self._normalizer = Normalizer.from_settings(settings)
        self._decider = Decider.of(settings)
        self._stale = RateLimit(settings.stale_per_minute)
        self._throttle = Throttle()
        self._last_ns = 0
        self.in_flight = 0
        """Callbacks that wait for their reply."""
        self.clock_skew = 0.0
        """RequestTime of the last signed callback minus our clock, in seconds."""
        self.draining = False
        """Set while the process stops: each reply asks the client to close its connection."""

    def take(self, connections: Sequence[Connection]) -> None:
        """Answer the requests of some connections, as far as they are usual ones."""
        for connection in connections:
            try:
                if not self._take(connection):
                    connection.decline()
            except Exception:
                log.exception("a callback could not be handled")
                connection.reply(replies.failed(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error", closing=True))
        self._journal.flush()

    def _take(self, connection: Connection) -> bool:
        """Take a usual callback, and answer it when it is durable; or return False, having touched nothing."""
        message, payload = connection.request
        query = parse_query(message.path.partition("?")[2])
        if not (
            query.command in USUAL
            and payload.total_bytes <= self._settings.max_body_bytes
            and self.in_flight < self._settings.max_in_flight
            and self._admits(connection, message.headers)
        ):
            return False
        verdict = self._verifier.verify(query)
        if verdict.refusal is not None:
            return False
        self.clock_skew = verdict.skew
        received = Received(query, connection.body, self._now_ns(), _traceparent(message.headers))
        records, unreadable = self._normalize(received)
        settle = partial(self._settle, connection, query.command, records, unreadable)
        self.in_flight += 1
        try:
            self._journal.append(records[0], settle)
        except JournalFullError as error:
            self._end(connection, self._refuse_short(_full(error), connection))
        return True

    def _settle(
        self,
        connection: Connection,
        command: str,
        records: Sequence[Record],
        unreadable: UnreadableError | None,
        durable: bool,
    ) -> None:
        """Answer a callback that `_take` took."""
        if durable:
            self._count(command, records, unreadable)
            self._end(connection, _accepted(command, unreadable, closing=self.draining))
        else:
            self._end(connection, self._refuse_short(_too_late(), connection))

    def _refuse_short(self, refused: Refused, connection: Connection) -> ReadyMadeReply:
        message, payload = connection.request
        return self._refuse(refused, message.path, payload.total_bytes, closing=self.draining)

    def _end(self, connection: Connection, reply: ReadyMadeReply) -> None:
        self.in_flight -= 1
        connection.reply(reply)
        metrics.REPLY_SECONDS.observe(time.perf_counter() - connection.arrived)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        started = time.perf_counter()
        self.in_flight += 1
        try:
            return await self._accept(request)
        except Refused as refused:
            return self._refuse(refused, request.raw_path, request.content_length, closing=self._closes(request))
        finally:
            self.in_flight -= 1
            metrics.REPLY_SECONDS.observe(time.perf_counter() - started)

    async def _accept(self, request: web.BaseRequest) -> web.StreamResponse:
        """The whole way of a callback."""
        if request.method != "POST":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method", "callbacks are sent with POST")
        query = parse_query(request.raw_path.partition("?")[2])
        stale = self._verify(request, query)
        body = await self._read(request)
        received = Received(query, body, self._now_ns(), _traceparent(request.headers))
        if stale:
            await self._keep_stale(received)
            raise Refused(HTTPStatus.FORBIDDEN, Refusal.STALE_TIME, MESSAGES[Refusal.STALE_TIME])
        records, unreadable = self._normalize(received)
        command = query.command or command_in(body)
        if registry.is_before(command):
            return await self._answer(request, command, body, records, unreadable)
        await self._keep(records)
        self._count(command, records, unreadable)
        return _accepted(command, unreadable, closing=self._closes(request))

    def _normalize(self, received: Received) -> tuple[list[Record], UnreadableError | None]:
        """The records of a callback; with the reason where it is a dead letter."""
        try:
            return self._normalizer.event(received), None
        except UnreadableError as error:
            return [self._normalizer.dead_letter(received, error.reason, str(error))], error

    async def _answer(
        self,
        request: web.BaseRequest,
        command: str,
        body: bytes,
        records: Sequence[Record],
        unreadable: UnreadableError | None,
    ) -> web.StreamResponse:
        """Keep a before-callback and answer it, as an endpoint decides or else with "allow".

        The platform holds a user's action back until we answer: it is never blocked for our own trouble.
        """
        decision, until = None, None
        if (endpoint := self._decider.endpoint(command)) is not None:
            until = asyncio.get_running_loop().time() + self._settings.reply_deadline_ms / 1000 - REPLY_RESERVE
            decision, records = await self._decide(endpoint, command, body, records)
        try:
            await self._keep(records, until=until)
        except Refused as refused:
            metrics.REFUSED.labels(refused.reason).inc()
        else:
            self._count(command, records, unreadable)
        if decision is not None:
            return replies.decided(decision.reply, closing=self._closes(request))
        return replies.allowed(command, body, closing=self._closes(request))

    async def _decide(
        self, endpoint: Endpoint, command: str, body: bytes, records: Sequence[Record]
    ) -> tuple[Decision, Sequence[Record]]:
        """What the endpoint decides, and the records with it.

        Meanwhile the callback does not count as in flight: a slow endpoint must not use up the limit of all others.
        """
        is_event = len(records) == 1 and records[0].topic == self._settings.topic
        self.in_flight -= 1
        try:
            decision = await self._decider.decide(endpoint, command, body, records[0].value if is_event else None)
        finally:
            self.in_flight += 1
        if is_event:
            records = [decided(records[0], decision.name, decision.code)]
        return decision, records

    async def _keep(self, records: Sequence[Record], *, until: float | None = None) -> None:
        """Make the records durable, by the reply deadline or `until`, a time of the event loop.

        Raises:
            Refused: not all of them are, in time; those that were taken are kept all the same.
        """
        if self.in_flight > self._settings.max_in_flight:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "in_flight", "too many callbacks are in flight")
        settled = Settled(len(records))
        try:
            for record in records:
                self._journal.append(record, settled)
        except JournalFullError as error:
            raise _full(error) from error
        try:
            async with asyncio.timeout_at(until):
                durable = await settled.future
        except TimeoutError:
            durable = False
        if not durable:
            raise _too_late()

    def _count(self, command: str, records: Sequence[Record], unreadable: UnreadableError | None) -> None:
        """The records of a callback are durable: count it, and count and tell the dead letters among them."""
        if unreadable is None:
            metrics.ACCEPTED.count(registry.label(command))
        elif self._throttle.admits("unreadable"):
            log.warning("kept as a dead letter: %s", unreadable)
        for record in records:
            if record.topic == self._settings.dlq_topic:
                metrics.DEAD_LETTERS.labels(dict(record.headers)["reason"].decode()).inc()

    async def close(self) -> None:
        """Close the connections to the endpoints that decide."""
        await self._decider.close()

    def _verify(self, request: web.BaseRequest, query: Query) -> bool:
        """Whether the callback, which is authentic, comes with a stale time.

        Raises:
            Refused: it is not authentic.
        """
        if not self._admits(request, request.headers):
            raise Refused(HTTPStatus.FORBIDDEN, Refusal.ADDRESS, MESSAGES[Refusal.ADDRESS])
        verdict = self._verifier.verify(query)
        if verdict.refusal not in (None, Refusal.STALE_TIME):
            raise Refused(HTTPStatus.FORBIDDEN, verdict.refusal, MESSAGES[verdict.refusal])
        self.clock_skew = verdict.skew
        is_stale = verdict.refusal is Refusal.STALE_TIME
        if is_stale and self._throttle.admits("skew"):
            log.warning(
                "an authentic callback says it was sent %.0f s %s our time: is the clock of this machine right?",
                abs(verdict.skew),
                "before" if verdict.skew < 0 else "after",
            )
        return is_stale

    def _admits(self, client: Connection | web.BaseRequest, headers: MultiMapping[str]) -> bool:
        """Whether its address may post."""
        return self._addresses.is_open or self._addresses.admits(
            client.remote, ",".join(headers.getall("X-Forwarded-For", ()))
        )

    async def _read(self, request: web.BaseRequest) -> bytes:
        """The body.

        Raises:
            Refused: it is too large, too slow, or not HTTP.
        """
        most = self._settings.max_body_bytes
        try:
            if request.content.is_eof():  # It came with the head: no timer is needed, and nothing to wait for.
                body = request.content.read_nowait()
                if len(body) > most:
                    raise _too_large(most)
                return body
            if (request.content_length or 0) > most:
                raise _too_large(most)
            if request.headers.get("Expect", "").lower() == "100-continue":
                await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            async with asyncio.timeout(self._settings.body_timeout_s):
                return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise _too_large(most) from error
        except TimeoutError as error:
            raise Refused(HTTPStatus.REQUEST_TIMEOUT, "slow_body", "the body did not arrive in time") from error
        except (HttpProcessingError, web.RequestPayloadError, ConnectionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "broken_body", "the body did not arrive whole") from error

    async def _keep_stale(self, received: Received) -> None:
        """A right signature with a stale time: one of the clocks is wrong, which must not lose a day of callbacks."""
        if not self._stale.admits():
            return
        record = self._normalizer.dead_letter(received, Refusal.STALE_TIME, MESSAGES[Refusal.STALE_TIME])
        try:
            await self._keep([record])
        except Refused as error:
            log.warning("a callback with a stale time could not be kept: %s", error)
        else:
            metrics.DEAD_LETTERS.labels(Refusal.STALE_TIME).inc()

    def _closes(self, request: web.BaseRequest) -> bool:
        """Whether the connection is closed after the reply."""
        return self.draining or not request.keep_alive or request.version < HttpVersion11

    def _now_ns(self) -> int:
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        return self._last_ns

    def _refuse(self, refused: Refused, path: str, size: int | None, *, closing: bool) -> ReadyMadeReply:
        """The reply that says so; it is counted, and logged now and then.

        The log has the shape of the request, none of its values: they may hold secrets, and are the sender's choice.
        """
        metrics.REFUSED.labels(refused.reason).inc()
        if self._throttle.admits(refused.reason):
            names = {name.partition("=")[0].lower() for name in path.partition("?")[2].split("&")}
            known = ", ".join(sorted(names & DOCUMENTED_PARAMETERS)) or "none"
            log.warning(
                "answered %d (%s: %s): query parameters %s and %d others, body of %s bytes; %d more like it before",
                refused.status,
                refused.reason,
                refused.message,
                known,
                len(names - DOCUMENTED_PARAMETERS - {""}),
                "unknown" if size is None else size,
                self._throttle.suppressed(refused.reason),
            )
        return replies.failed(refused.status, refused.message, closing=closing)


class RateLimit:
    """Admits `per_minute` events in each minute."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._minute = 0
        self._count = 0

    def admits(self) -> bool:
        """Whether one more may pass now."""
        minute = int(time.monotonic() / 60)
        if minute != self._minute:
            self._minute, self._count = minute, 0
        self._count += 1
        return self._count <= self._per_minute


class Settled:
    """Whether some records are all durable, as one future: what the journal says of each comes together here."""

    def __init__(self, records: int) -> None:
        self._missing = records
        self.future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def __call__(self, durable: bool) -> None:
        """One of them is settled."""
        self._missing -= 1
        if not self.future.done() and (not durable or self._missing == 0):
            self.future.set_result(durable)


def _accepted(command: str, unreadable: UnreadableError | None, *, closing: bool) -> ReadyMadeReply:
    if unreadable is not None:
        return replies.failed(HTTPStatus.OK, f"kept as a dead letter: {unreadable}", closing=closing)
    return replies.accepted(command, closing=closing)


def _too_late() -> Refused:
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, "deadline", "it could not be made durable in time")


def _full(error: JournalFullError) -> Refused:
    return Refused(HTTPStatus.SERVICE_UNAVAILABLE, "journal_full", str(error))


def _too_large(most: int) -> Refused:
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", f"the body exceeds {most} bytes")


def _traceparent(headers: Mapping[str, str]) -> str:
    value = headers.get(TRACEPARENT_HEADER, "")
    return value if value and TRACEPARENT.fullmatch(value) else ""
