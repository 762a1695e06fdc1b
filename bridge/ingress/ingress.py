"""The way of a callback, once: verify, normalize, journal; and its one reply, when it is durable.

It is handed requests by the adapters in `bridge.http` and knows nothing of how they came. A request that has arrived
whole goes through `accept`. Where the body comes later, `admit` looks at the head first, and `accept` or `refuse`
follows. Whatever happens, `CallbackRequest.respond` is called exactly once, now or later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from functools import partial

from bridge import metrics
from bridge.events import registry
from bridge.ingress import refusals, replies
from bridge.ingress.addresses import AddressFilter
from bridge.ingress.all_durable import AllDurable, RecordJournal
from bridge.ingress.decisions import Decider, Endpoint
from bridge.ingress.endpoint_answer import Decision
from bridge.ingress.kept import Kept
from bridge.ingress.normalizing import COUNTERS, CallbackNormalizer, Normalized
from bridge.ingress.refusals import Refusal, RefusalCount, RefusalLog, RefusedError
from bridge.ingress.replies import PlatformReply
from bridge.ingress.request import CallbackRequest
from bridge.ingress.stale import SkewLog, StaleBudget
from bridge.ingress.traces import CallbackTraces
from bridge.ingress.verify import Verdict, Verifier
from bridge.journal.deadlines import CHECK_INTERVAL_S
from bridge.journal.groups import Resolve
from bridge.journal.journal import JournalFullError
from bridge.journal.record import Record
from bridge.normalize.content import command_in
from bridge.normalize.drift import Drift
from bridge.normalize.normalizer import TopicLimit, with_decision
from bridge.normalize.received import Received
from bridge.settings import BridgeSettings
from common.networks import NetworkSet
from common.remembered import Remembered
from common.tracing.context import RecordHeaders, context_of

log = logging.getLogger(__name__)

UNHANDLED = "a callback could not be handled"
REPLY_RESERVE_S = CHECK_INTERVAL_S
"""How long before the reply deadline a decided callback waits no longer to become durable. The journal does not know
when it came, only when its decision did; it resolves other callbacks as early as this before their deadline."""

_awaits_answer = Remembered(registry.awaits_answer, most=256)


class Ingress:
    """Accepts the callbacks of one process. All of it runs on the event loop.

    The fields are many because a callback passes all of these parts, and what lies between costs time.

    Args:
        settings: apps, limits, topics.
        journal: makes records durable.
        topic_limit, drift: see `Normalizer`.
        traces: which callbacks are traced; None: those that come with a context.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        journal: RecordJournal,
        topic_limit: TopicLimit | None = None,
        drift: Drift | None = None,
        traces: CallbackTraces | None = None,
    ) -> None:
        self._settings = settings
        self._max_in_flight = settings.max_in_flight
        self._max_body_bytes = settings.max_body_bytes
        self._journal = journal
        self._verifier = Verifier.from_settings(settings)
        self._addresses = AddressFilter.from_settings(settings)
        self._normalizer = CallbackNormalizer(settings, topic_limit, drift)
        self._traces = traces or CallbackTraces()
        self._next_traced = self._traces.draw()
        self._decider = Decider.from_settings(settings)
        self._stale = StaleBudget(
            settings.stale_per_minute, settings.stale_bytes_per_minute, lambda: journal.fraction_used
        )
        self._refusals = RefusalLog(self._addresses.sender)
        self._skew_log = SkewLog()
        self._questions: set[asyncio.Task[None]] = set()
        self._last_ns = 0
        self.in_flight = 0
        """Callbacks that wait for their reply."""
        self.clock_skew_s = 0.0
        """RequestTime of the last signed callback minus our clock."""

    @property
    def refusal_counts(self) -> list[RefusalCount]:
        """Of each reason how often something was refused, and the last of it."""
        return self._refusals.counts

    async def close(self) -> None:
        """Close the connections to the endpoints that decide."""
        await self._decider.close()

    def take_new_tokens(self) -> None:
        """Check by the tokens that BRIDGE_APPS_FILE holds now; to be called every now and then."""
        self._verifier.use_tokens_of(self._settings.latest())

    def allow(self, networks: NetworkSet, origin: str) -> None:
        """Take callbacks of these networks from now on, see `AddressFilter.allow`."""
        self._addresses.allow(networks, origin)

    # -- What adapters call --------------------------------------------------------------------------------------------

    def admit(self, request: CallbackRequest, now_ns: int | None = None) -> Verdict:
        """Count a request as in flight, and verify its head. `accept` or `refuse` must follow.

        Args:
            request: the request.
            now_ns: the time, Unix nanoseconds, if somebody knows it.

        Raises:
            RefusedError: it is to be refused; its body need not be read.
        """
        self.in_flight += 1
        if request.fields.method != "POST":
            raise RefusedError(refusals.METHOD)
        if not self._addresses.is_open:
            refusal = self._addresses.refusal(request.peer, request.fields.forwarded_for)
            if refusal is not None:
                raise RefusedError(refusal)
        verdict = self._verifier.verify(request.query, now_ns)
        if verdict.refusal is not None:
            self._refuse_unless_stale(verdict.refusal, verdict.skew_s, request.size or 0)
        self.clock_skew_s = verdict.skew_s
        return verdict

    def accept(self, request: CallbackRequest, verdict: Verdict | None = None, now_ns: int | None = None) -> None:
        """Accept a request that has arrived whole. It gets its reply now, or when it is durable. Never raises.

        Args:
            request: the request.
            verdict: of `admit`, if that was called before.
            now_ns: the time, Unix nanoseconds, if somebody knows it.
        """
        try:
            if verdict is None:
                verdict = self.admit(request, now_ns)
            trace: RecordHeaders = ()
            self._next_traced -= 1
            if request.fields.traceparent or not self._next_traced:
                request, trace = self._trace(request)
            reply = self._keep(request, verdict, trace, time.time_ns() if now_ns is None else now_ns)
        except RefusedError as refused:
            reply = self._refusal(request, refused.refusal, verdict)
        except Exception:
            log.exception(UNHANDLED)
            self.fail(request, verdict)
            return
        if reply is not None:
            self.respond(request, reply)

    def refuse(self, request: CallbackRequest, refusal: Refusal, verdict: Verdict | None = None) -> None:
        """Answer a request that is not accepted. `verdict`: of `admit`, None where that has refused it."""
        self.respond(request, self._refusal(request, refusal, verdict))

    def fail(self, request: CallbackRequest, verdict: Verdict | None = None) -> None:
        """Answer a request that cannot be handled, for a fault of ours. `verdict`: of `admit`, as far as it came."""
        self.refuse(request, refusals.FAULT, verdict)

    def forget(self) -> None:
        """A request that was admitted gets no reply: its connection ends."""
        self.in_flight -= 1

    async def finish(self, timeout_s: float) -> None:
        """Wait for the endpoints that are deciding, so that these callbacks are kept."""
        if self._questions:
            await asyncio.wait(self._questions, timeout=timeout_s)

    # -- The way of a callback -----------------------------------------------------------------------------------------

    def _trace(self, request: CallbackRequest) -> tuple[CallbackRequest, RecordHeaders]:
        is_drawn = not self._next_traced
        if is_drawn:
            self._next_traced = self._traces.draw()
        return self._traces.begin(request, request.query.command, is_drawn=is_drawn)

    def _keep(
        self, request: CallbackRequest, verdict: Verdict, trace: RecordHeaders, now_ns: int
    ) -> PlatformReply | None:
        """Hand the records of a callback to the journal.

        Returns:
            The reply, None where it comes when the records are durable.

        Raises:
            RefusedError: it is not kept.
        """
        body = request.take_body()
        if len(body) > self._max_body_bytes:
            raise RefusedError(refusals.too_large(self._max_body_bytes))
        query = request.query
        if now_ns <= self._last_ns:  # No other callback of the process has the same time.
            now_ns = self._last_ns + 1
        self._last_ns = now_ns
        if verdict.refusal is not None:
            self._keep_stale(request, Received(query, body, now_ns, trace), verdict.skew_s)
            return None
        command = query.common.command or command_in(body)
        if _awaits_answer[command]:
            return self._answer(request, command, Received(query, body, now_ns, trace))
        usual = self._normalizer.usual(query, body, now_ns, trace)
        if usual is not None:
            self._append(usual, Kept(self, request, COUNTERS[command]).resolve)
            return None
        normalized = self._normalizer.normalize_unusual(command, Received(query, body, now_ns, trace))
        self._append_all(normalized.records, Kept(self, request, partial(self._normalizer.count, normalized)).resolve)
        return None

    def _append(self, record: Record, resolve: Resolve) -> None:
        """Hand a record to the journal; `resolve` is told whether it is durable.

        Raises:
            RefusedError: it was not kept, and `resolve` is not called.
        """
        if self.in_flight > self._max_in_flight:
            raise RefusedError(refusals.TOO_MANY)
        try:
            self._journal.append(record, resolve)
        except JournalFullError as error:
            raise RefusedError(refusals.journal_full(str(error))) from error

    def _append_all(self, records: Sequence[Record], resolve: Resolve, *, until: float | None = None) -> None:
        """Hand records to the journal; `resolve` is told whether all are durable, by the time `until` of the loop.

        Raises:
            RefusedError: not all of them were kept, and `resolve` is not called.
        """
        if len(records) == 1 and until is None:
            self._append(records[0], resolve)
            return
        if self.in_flight > self._max_in_flight:
            raise RefusedError(refusals.TOO_MANY)
        together = AllDurable(resolve)
        try:
            together.append(records, self._journal)
        except JournalFullError as error:
            raise RefusedError(refusals.journal_full(str(error))) from error
        if until is not None:
            together.resolve_by(until)

    def respond(self, request: CallbackRequest, reply: PlatformReply) -> None:
        """Give a request its reply."""
        self.in_flight -= 1
        arrived = request.arrived  # A connection may have its next request when it returns.
        request.respond(reply)
        metrics.REPLY_SECONDS.observe(time.perf_counter() - arrived)

    def _refusal(self, request: CallbackRequest, refusal: Refusal, verdict: Verdict | None) -> PlatformReply:
        """What a request is told that is not kept. An authentic one that awaits an answer gets that all the same."""
        command = request.query.command
        if verdict is not None and verdict.refusal is None and _awaits_answer[command]:
            return self._answer_unkept(request, command, b"", refusal)
        self._refusals.note(refusal, request)
        return replies.refused(refusal.status, refusal.message, command)

    # -- A stale time: authentic, so it is kept, and refused -----------------------------------------------------------

    def _refuse_unless_stale(self, refusal: Refusal, skew_s: float, size: int) -> None:
        """Refuse what is not as it should be, but a stale callback that may be kept: its body has to be read.

        Raises:
            RefusedError: it is no stale one, or there is no room for it.
        """
        if refusal in {refusals.STALE_TIME, refusals.EXPIRED}:
            self.clock_skew_s = skew_s
            self._skew_log.warn(skew_s)
        if refusal is not refusals.STALE_TIME:
            raise RefusedError(refusal)
        if not self._stale.has_room(size):
            raise RefusedError(refusals.STALE_NOT_KEPT)

    def _keep_stale(self, request: CallbackRequest, received: Received, skew_s: float) -> None:
        """Keep a callback with a stale time: one of the clocks is wrong, which must not lose a day of callbacks.

        Raises:
            RefusedError: it is refused at once, since it is not kept.
        """
        if not self._stale.admits(len(received.body) + len(received.query.raw)):
            raise RefusedError(refusals.STALE_NOT_KEPT)
        letter = self._normalizer.dead_letter(received, refusals.STALE_TIME.reason, refusals.STALE_TIME.message)
        letter.headers.append(("skew-seconds", b"%.0f" % skew_s))
        try:
            self._append(letter, partial(self._resolve_stale, request, received.query.command))
        except RefusedError as refused:
            raise RefusedError(refusals.STALE_NOT_KEPT) from refused

    def _resolve_stale(self, request: CallbackRequest, command: str, durable: bool) -> None:
        if not durable:
            self.refuse(request, refusals.STALE_NOT_KEPT)
            return
        metrics.DEAD_LETTERS.labels(refusals.STALE_TIME.reason).inc()
        if registry.wants_error_message(command):  # Refused, it would be repeated, and each repetition kept.
            self._refusals.note(refusals.answered(refusals.STALE_TIME), request)
            self.respond(request, replies.kept_as_dead_letter(refusals.STALE_TIME.message, command))
        else:
            self.refuse(request, refusals.STALE_TIME)

    # -- The platform does as we answer, and may hold a user's action back until then: trouble of ours blocks none -----

    def _answer(self, request: CallbackRequest, command: str, received: Received) -> PlatformReply | None:
        """Keep a callback that awaits an answer, and answer it: as an endpoint decides, or else by default."""
        body = received.body
        try:
            normalized = self._normalizer.normalize(command, received)
        except RefusedError as refused:
            return self._answer_unkept(request, command, body, refused.refusal)
        except Exception:
            log.exception(UNHANDLED)
            return self._answer_unkept(request, command, body, refusals.FAULT)
        endpoint = self._decider.endpoint(command)
        if endpoint is None or [record.topic for record in normalized.records] != [self._settings.topic]:
            reply = self._decider.unasked(command, body, normalized.unreadable or "it is a batch")
            return self._keep_answered(request, reply, normalized)
        loop = asyncio.get_running_loop()
        waited_s = time.perf_counter() - request.arrived
        until = loop.time() - waited_s + self._settings.reply_deadline_ms / 1000 - REPLY_RESERVE_S
        # Until it is decided it does not count as in flight: a slow endpoint must not use up the limit of all others.
        self.in_flight -= 1
        question = loop.create_task(self._ask(endpoint, request, body, normalized, until))
        self._questions.add(question)
        question.add_done_callback(self._questions.discard)
        return None

    async def _ask(
        self, endpoint: Endpoint, request: CallbackRequest, body: bytes, normalized: Normalized, until: float
    ) -> None:
        """Have an endpoint decide, note what it decides in the event, and go on."""
        command, (event,) = normalized.command, normalized.records
        try:
            try:
                decision = await self._decide(endpoint, command, body, event)
            finally:
                self.in_flight += 1
            decided = Normalized(command, [with_decision(event, decision.name, decision.code)])
            reply = self._keep_answered(request, replies.with_fields(decision.reply), decided, until=until)
        except Exception:
            log.exception(UNHANDLED)
            reply = self._answer_unkept(request, command, body, refusals.FAULT)
        if reply is not None:
            self.respond(request, reply)

    async def _decide(self, endpoint: Endpoint, command: str, body: bytes, event: Record) -> Decision:
        span = self._traces.ask(command, context := context_of(event.headers), endpoint.shown)
        told = context if span is None else span.context
        trace = {} if told is None else told.http_headers
        decision = await self._decider.decide(endpoint, command, body, event.value, trace)
        if span is not None:
            span.note(im__decision=decision.name)
            span.end(error="nobody decided" if decision.name == "failed" else "")
        return decision

    def _keep_answered(
        self, request: CallbackRequest, reply: PlatformReply, normalized: Normalized, *, until: float | None = None
    ) -> PlatformReply | None:
        """Keep a callback whose reply is known: it leaves when the callback is durable, or cannot be."""
        try:
            self._append_all(
                normalized.records, partial(self._resolve_answered, request, reply, normalized), until=until
            )
        except RefusedError as refused:
            self._refusals.note(refusals.answered_unkept(refused.refusal), request)
            return reply
        return None

    def _answer_unkept(self, request: CallbackRequest, command: str, body: bytes, refusal: Refusal) -> PlatformReply:
        """The answer to a callback of which nothing is kept."""
        self._refusals.note(refusals.answered_unkept(refusal), request)
        try:
            reply = self._decider.unasked(command, body, refusal.message)
        except Exception:
            log.exception(UNHANDLED)
            reply = replies.by_default(command, b"")
        return replies.closing(reply) if replies.closes_after(refusal.status) else reply

    def _resolve_answered(
        self, request: CallbackRequest, reply: PlatformReply, normalized: Normalized, durable: bool
    ) -> None:
        try:
            if durable:
                self._normalizer.count(normalized)
            else:
                self._refusals.note(refusals.answered_unkept(refusals.TOO_LATE), request)
        finally:
            self.respond(request, reply)
