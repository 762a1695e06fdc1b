"""Between normalize and journal: an endpoint of yours decides what the platform does as we answer.

A callback that awaits an answer, and that one of BRIDGE_DECISION_URLS is for, becomes an event as ever, its endpoint is
sent the event, and what it answers is checked and completed (`bridge.ingress.endpoint_answer`), passed on to the
platform, and noted in the event, which is made durable only then. The section "Decisions" of docs/events.md has the
answers and what they become.

What keeps a bad endpoint from hurting anything else: each question has a deadline, questions on their way are limited
for each endpoint and do not count as callbacks in flight, and an endpoint that has been silent for several questions in
a row is left alone for some seconds: a dead one would cost each user its deadline. A bad answer is an answer there:
whoever finds a message that makes the endpoint fail must not switch it off for all others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from fnmatch import fnmatchcase
from http import HTTPStatus
from types import MappingProxyType

import aiohttp
from yarl import URL

from bridge import metrics
from bridge.events import registry
from bridge.ingress import replies
from bridge.ingress.endpoint_answer import Decision, NoDecisionError, read_answer, undecided
from bridge.ingress.replies import PlatformReply
from bridge.settings import BridgeSettings
from common.breaker import BreakerState, CircuitBreaker
from common.logs import Throttle, fields
from common.retry import Backoff
from common.unreachable import why_unreachable

log = logging.getLogger(__name__)

SILENT_TO_OPEN = 5
OPEN_S = 5.0
MAX_ANSWER_BYTES = 256 * 1024
WAITING_PER_CONNECTION = 10
LOG_INTERVAL_S = 10.0
NO_TRACE: Mapping[str, str] = MappingProxyType({})
_HEADERS = {"Content-Type": "application/cloudevents+json", "Accept": "application/json", "Accept-Encoding": "identity"}


class Decider:
    """Asks the endpoints of the settings. Must be made on the event loop.

    Args:
        urls: command or pattern → URL. A command's own name comes before patterns, these in their order.
        deadline_s: how long an endpoint may take.
        refuses: whether a callback that nobody decided is refused.
        max_connections: to a host.
    """

    def __init__(self, urls: dict[str, str], *, deadline_s: float, refuses: bool, max_connections: int) -> None:
        made = {
            url: Endpoint(url, deadline_s=deadline_s, max_connections=max_connections) for url in set(urls.values())
        }
        self._rules = [(pattern.lower(), made[url]) for pattern, url in urls.items()]
        self._rules.sort(key=lambda rule: any(mark in rule[0] for mark in "*?["))  # Stable: patterns keep their order.
        awaited = (entry.callback.command for entry in registry.ENTRIES if entry.callback.awaits_answer)
        metrics.expect_decisions([command for command in awaited if self.endpoint(command) is not None])
        self._refuses = refuses
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None
        self._throttle = Throttle(LOG_INTERVAL_S)

    @classmethod
    def from_settings(cls, settings: BridgeSettings) -> Decider:
        """The one that the settings describe."""
        return cls(
            {pattern: url.get_secret_value() for pattern, url in settings.decision_urls.items()},
            deadline_s=settings.decision_deadline_ms / 1000,
            refuses=settings.decision_on_failure == "refuse",
            max_connections=settings.decision_connections,
        )

    def endpoint(self, command: str) -> Endpoint | None:
        """Who decides this callback, which awaits an answer; None: nobody is asked."""
        name = command.lower()
        return next((endpoint for pattern, endpoint in self._rules if fnmatchcase(name, pattern)), None)

    async def decide(
        self, endpoint: Endpoint, command: str, body: bytes, event: bytes, trace: Mapping[str, str] = NO_TRACE
    ) -> Decision:
        """Ask the endpoint about an event, made of this body. Never raises; takes no longer than the deadline.

        Args:
            endpoint: who is asked.
            command, body: of the callback.
            event: what was made of it.
            trace: headers that say which trace the question belongs to.
        """
        try:
            decision = read_answer(await endpoint.ask(self._connected(), event, trace), command, body)
        except NoDecisionError as error:
            return self._undecided(endpoint, command, body, error)
        if decision.remark:
            self._warn(endpoint, command, "remark", "a decision", decision.remark)
        metrics.DECISIONS.labels(registry.label(command), decision.name).inc()
        return decision

    def unasked(self, command: str, body: bytes, why: str) -> PlatformReply:
        """What the platform is told without a question: nobody is there for it, or there is no event to ask about."""
        endpoint = self.endpoint(command)
        if endpoint is None:
            return replies.by_default(command, body)
        error = NoDecisionError("unreadable", f"there is no event to ask about: {why}")
        return replies.with_fields(self._undecided(endpoint, command, body, error).reply)

    def _undecided(self, endpoint: Endpoint, command: str, body: bytes, error: NoDecisionError) -> Decision:
        decision = undecided(command, body, refuses=self._refuses)
        if registry.wants_data(command):
            told = "the platform is told code 1"
        else:
            told = f"BRIDGE_DECISION_ON_FAILURE: it is {'refused' if self._refuses else 'allowed'}"
        self._warn(endpoint, command, error.outcome, "no decision", f"{error.outcome}: {error}; {told}")
        metrics.DECISIONS.labels(registry.label(command), error.outcome).inc()
        return decision

    def _warn(self, endpoint: Endpoint, command: str, kind: str, what: str, why: str) -> None:
        """Say something about an endpoint and a command, now and then for each kind."""
        label = registry.label(command)
        key = f"{endpoint.shown} {label} {kind}"
        if self._throttle.admits(key):
            more = self._throttle.suppressed(key)
            log.warning(
                "%s on %s from %s (%s); %d more like it before",
                what,
                label,
                endpoint.shown,
                why,
                more,
                extra=fields("decision_failed", server=endpoint.shown, reason=why, more=more),
            )

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, limit_per_host=self._max_connections),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),  # `ask` has one for all of it.
            )
        return self._session


_NO_ANSWER: dict[type[Exception], str] = {
    aiohttp.ServerDisconnectedError: "it closed the connection without an answer",
    aiohttp.ClientResponseError: "what it answered is no HTTP/1.1",
    aiohttp.ClientPayloadError: "its answer broke off, or is encoded otherwise than it says",
}


def _why_unreachable(error: Exception) -> str:
    """In words for people. Some errors of aiohttp quote the URL, which may hold secrets, or what was answered."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return why_unreachable(error.certificate_error)
    if isinstance(error, aiohttp.ClientConnectorError):
        return why_unreachable(error.os_error)
    if isinstance(error, aiohttp.ClientError) and not isinstance(error, OSError):
        return _NO_ANSWER.get(type(error), type(error).__name__)
    return why_unreachable(error)


class Endpoint:
    """A URL that decides."""

    def __init__(self, url: str, *, deadline_s: float, max_connections: int) -> None:
        self._url = URL(url)
        self.shown = str(self._url.origin())
        """Its scheme, host and port: the rest may hold secrets."""
        self._deadline_s = deadline_s
        self._max_asking = max_connections * (1 + WAITING_PER_CONNECTION)
        self._breaker = CircuitBreaker(
            max_failures=SILENT_TO_OPEN, open_for=Backoff(first_s=OPEN_S, max_s=OPEN_S, jitter=False)
        )
        self._asking = 0

    async def ask(
        self, session: aiohttp.ClientSession, event: bytes, trace: Mapping[str, str] = NO_TRACE
    ) -> bytes | None:
        """The body of its answer, None where it has nothing to say (status 204).

        Raises:
            NoDecisionError: there is none, or not with status 200 or 204.
        """
        if self._asking >= self._max_asking:
            raise NoDecisionError("busy", f"{self._asking} questions wait for it already")
        if self._breaker.free(running=self._asking, max_running=self._max_asking) <= 0:
            raise NoDecisionError("skipped", "it was silent and is left alone for some seconds")
        self._asking += 1
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._deadline_s):
                status, answer = await self._post_twice(session, event, {**_HEADERS, **trace})
        except TimeoutError as error:
            self._note_silence()
            told = f"no answer within {self._deadline_s * 1000:.0f} ms (BRIDGE_DECISION_DEADLINE_MS)"
            raise NoDecisionError("late", told) from error
        except (aiohttp.ClientError, OSError, RuntimeError) as error:  # RuntimeError: we are closing the session.
            self._note_silence()
            raise NoDecisionError("unreachable", _why_unreachable(error)) from error
        finally:
            self._asking -= 1
            metrics.DECISION_SECONDS.observe(time.perf_counter() - began)
        if self._breaker.succeeded():
            log.warning("%s answers again", self.shown, extra=fields("endpoint_answers", server=self.shown))
        if len(answer) > MAX_ANSWER_BYTES:
            raise NoDecisionError("invalid", f"its answer has more than {MAX_ANSWER_BYTES} bytes")
        if status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            raise NoDecisionError("status", f"it answered with status {status}, where 200 or 204 decides")
        return None if status == HTTPStatus.NO_CONTENT else answer

    def _note_silence(self) -> None:
        was_asked = self._breaker.state is BreakerState.CLOSED
        if self._breaker.failed() and was_asked:
            log.error(
                "%s did not answer %d times in a row: it is asked rarely now",
                self.shown,
                SILENT_TO_OPEN,
                extra=fields("endpoint_silent", server=self.shown),
            )

    async def _post_twice(
        self, session: aiohttp.ClientSession, event: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        # A server may close an idle connection in the moment in which we use it.
        try:
            return await self._post(session, event, headers)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError):
            return await self._post(session, event, headers)

    async def _post(
        self, session: aiohttp.ClientSession, event: bytes, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        async with session.post(self._url, data=event, headers=headers, allow_redirects=False) as response:
            answer = b""
            async for part in response.content.iter_any():
                answer += part
                if len(answer) > MAX_ANSWER_BYTES:
                    break
            return response.status, answer
