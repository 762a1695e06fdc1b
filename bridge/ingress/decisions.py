"""Between normalize and journal: an endpoint of yours decides what the platform asks before it does something.

A before-callback that one of BRIDGE_DECISION_URLS is for becomes an event as ever, its endpoint is sent the event, and
what it answers is completed, passed on to the platform, and noted in the event, which is made durable only then. The
section "Decisions" of docs/events.md has the answers and what they become.

What keeps a bad endpoint from hurting anything else: each question has a deadline, questions on their way are limited
for each endpoint and do not count as callbacks in flight, and an endpoint that has been silent for several questions in
a row is left alone for some seconds: a dead one would cost each user its deadline. A bad answer is an answer there:
whoever finds a message that makes the endpoint fail must not switch it off for all others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Annotated, Any, Literal, NamedTuple

import aiohttp
import msgspec
import orjson
from yarl import URL

from bridge import metrics
from bridge.events import registry
from bridge.ingress import replies
from bridge.settings import BridgeSettings
from common.breaker import BreakerState, CircuitBreaker
from common.logs import Throttle
from common.retry import Backoff

log = logging.getLogger(__name__)

SILENT_TO_OPEN = 5
OPEN_S = 5.0
MAX_ANSWER_BYTES = 256 * 1024
WAITING_PER_CONNECTION = 10
LOG_INTERVAL_S = 10.0
MAX_SHOWN_CHARS = 200
EACH_REFUSED = range(38000, 39001)
"""Codes by which `Sns.CallbackPrev…` refuses an account."""
DROPPED = 2
"""The code that drops a message so that its sender does not see it, where the platform knows it."""
_HEADERS = {"Content-Type": "application/cloudevents+json", "Accept": "application/json", "Accept-Encoding": "identity"}

Code = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class ResultItem(msgspec.Struct):
    """The verdict on one account that a friend request asks about."""

    To_Account: str
    ResultCode: Annotated[Code, msgspec.Meta(description="0: allowed; 38000 to 39000: refused.")] = 0
    ResultInfo: str = ""


class Answer(msgspec.Struct):
    """A decision, in the platform's own reply fields. All of them may be absent: then it is allowed."""

    ActionStatus: Literal["OK", "FAIL"] | None = None
    ErrorCode: Annotated[
        Code | None, msgspec.Meta(description="0: allowed; 1, or a code of the platform: refused; 2: dropped.")
    ] = None
    ErrorInfo: Annotated[str | None, msgspec.Meta(description="For the user's client, with some codes.")] = None
    MsgBody: Annotated[
        list[dict[str, Any]] | None, msgspec.Meta(description="The message that is sent instead of the user's.")
    ] = None
    CloudCustomData: Annotated[str | None, msgspec.Meta(description="Custom data that is sent instead.")] = None
    RefusedMembers_Account: Annotated[
        list[str] | None, msgspec.Meta(description="Of an invitation: who is not let in.")
    ] = None
    RefusedSubscribers_Account: Annotated[
        list[str] | None, msgspec.Meta(description="Of a subscription: who is not let in.")
    ] = None
    ResultItem: Annotated[list[ResultItem] | None, msgspec.Meta(description="Of a friend request: who may.")] = None


_answer = msgspec.json.Decoder(Answer)


class Decision(NamedTuple):
    """What the platform is told."""

    name: str
    """The event's attribute `decision`."""
    code: int
    """The event's attribute `decisioncode`: ErrorCode, or the first ResultCode that is not 0."""
    reply: dict[str, Any]
    """All fields of the reply."""


class NoDecisionError(Exception):
    """The endpoint did not decide. `outcome` is a short code, the message says what happened."""

    def __init__(self, outcome: str, message: str) -> None:
        super().__init__(message)
        self.outcome = outcome


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
        """Who decides this before-callback; None: nobody is asked, it is allowed."""
        name = command.lower()
        return next((endpoint for pattern, endpoint in self._rules if fnmatchcase(name, pattern)), None)

    async def decide(self, endpoint: Endpoint, command: str, body: bytes, event: bytes | None) -> Decision:
        """Ask the endpoint about an event, None where the body could not become one. Never raises; takes no longer
        than the deadline."""
        try:
            if event is None:
                raise NoDecisionError("unreadable", "nobody can read the body, so there is no event to ask about")
            decision = read_answer(await endpoint.ask(self._connected(), event), command, body)
            outcome = decision.name
        except NoDecisionError as error:
            decision, outcome = self._without(command, body), error.outcome
            if self._throttle.admits(f"{endpoint.shown} {outcome}"):
                log.warning(
                    "no decision on %s from %s (%s: %s): %s; %d more like it before",
                    registry.label(command),
                    endpoint.shown,
                    outcome,
                    error,
                    "refused" if self._refuses else "allowed",
                    self._throttle.suppressed(f"{endpoint.shown} {outcome}"),
                )
        metrics.DECISIONS.labels(registry.label(command), outcome).inc()
        return decision

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

    def _without(self, command: str, body: bytes) -> Decision:
        """What the platform is told where nobody decided."""
        fields = {"ErrorCode": 1, "ErrorInfo": "it could not be decided"} if self._refuses else {}
        return _decision(fields, command, body)._replace(name="failed")


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

    async def ask(self, session: aiohttp.ClientSession, event: bytes) -> bytes:
        """The body of its answer.

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
                status, answer = await self._post_twice(session, event)
        except TimeoutError as error:
            self._note_silence()
            raise NoDecisionError("late", f"no answer within {self._deadline_s * 1000:.0f} ms") from error
        except (aiohttp.ClientError, OSError, RuntimeError) as error:  # RuntimeError: we are closing the session.
            self._note_silence()
            raise NoDecisionError("unreachable", f"{type(error).__name__}") from error
        finally:
            self._asking -= 1
            metrics.DECISION_SECONDS.observe(time.perf_counter() - began)
        if self._breaker.succeeded():
            log.warning("%s answers again", self.shown)
        if len(answer) > MAX_ANSWER_BYTES:
            raise NoDecisionError("invalid", f"its answer has more than {MAX_ANSWER_BYTES} bytes")
        if status not in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
            raise NoDecisionError("status", f"it answered {status}")
        return b"{}" if status == HTTPStatus.NO_CONTENT else answer

    def _note_silence(self) -> None:
        was_asked = self._breaker.state is BreakerState.CLOSED
        if self._breaker.failed() and was_asked:
            log.error("%s did not answer %d times in a row: it is asked rarely now", self.shown, SILENT_TO_OPEN)

    async def _post_twice(self, session: aiohttp.ClientSession, event: bytes) -> tuple[int, bytes]:
        # A server may close an idle connection in the moment in which we use it.
        try:
            return await self._post(session, event)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError):
            return await self._post(session, event)

    async def _post(self, session: aiohttp.ClientSession, event: bytes) -> tuple[int, bytes]:
        async with session.post(self._url, data=event, headers=_HEADERS, allow_redirects=False) as response:
            answer = b""
            async for part in response.content.iter_any():
                answer += part
                if len(answer) > MAX_ANSWER_BYTES:
                    break
            return response.status, answer


def read_answer(answer: bytes, command: str, body: bytes) -> Decision:
    """The decision in an endpoint's answer to the callback with this command and body.

    Raises:
        NoDecisionError: it is no JSON object of the platform's reply fields.
    """
    try:
        _answer.decode(answer)
        fields = orjson.loads(answer)
    except (msgspec.DecodeError, orjson.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        why = str(error)[:MAX_SHOWN_CHARS]  # It may quote the answer.
        raise NoDecisionError("invalid", f"its answer is no reply of the platform: {why}") from error
    decision = _decision({name: value for name, value in fields.items() if value is not None}, command, body)
    try:
        orjson.dumps(decision.reply)  # It reads what it does not write, such as what is nested very deeply.
    except orjson.JSONEncodeError as error:
        raise NoDecisionError("invalid", f"its answer cannot be passed on: {error}") from error
    return decision


def _decision(given: dict[str, Any], command: str, body: bytes) -> Decision:
    reply: dict[str, Any] = replies.OK_FIELDS | given
    if registry.wants_each(command):
        return _decision_on_each(reply, replies.asked_about(command, body))
    code = reply["ErrorCode"]
    if code == DROPPED and registry.can_drop(command):
        name = "dropped"
    elif code:
        name = "refused"
    elif "MsgBody" in reply or "CloudCustomData" in reply:
        name = "changed"
    elif reply.get("RefusedMembers_Account") or reply.get("RefusedSubscribers_Account"):
        name = "partly_refused"
    else:
        name = "allowed"
    return Decision(name, code, reply)


def _decision_on_each(reply: dict[str, Any], accounts: list[str]) -> Decision:
    """A decision with a verdict on each of the accounts that are asked about.

    Args:
        reply: as the endpoint gave it, completed. Accounts that its `ResultItem` does not name get its `ErrorCode`.
        accounts: that the callback asks about.
    """
    # The code for all is 0 in the end, else the platform lets all of them pass.
    code = reply["ErrorCode"]
    for_all = code if code in EACH_REFUSED or not code else EACH_REFUSED.start
    default = {"ResultCode": for_all, "ResultInfo": reply["ErrorInfo"]}
    given = {item["To_Account"]: item for item in reply.get("ResultItem", ())}
    items = [{"To_Account": account, **default, **given.pop(account, {})} for account in accounts]
    items += [default | item for item in given.values()]
    refused = [item["ResultCode"] for item in items if item["ResultCode"]]
    name = "allowed" if not refused else "refused" if len(refused) == len(items) else "partly_refused"
    return Decision(name, refused[0] if refused else 0, reply | {"ErrorCode": 0, "ResultItem": items})
