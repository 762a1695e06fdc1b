"""The allow-list that keeps itself: `BRIDGE_ALLOWED_NETWORKS=auto`.

Who may post are the networks that the platform names, and those of the setting. What holds when something fails:

- A good answer is kept on disk. It holds until the next good one, however long that takes: an answer that failed, was
  empty, or named nothing that can be right changes nothing.
- As long as there has never been a good one, every address may post, and `Sign` alone decides. That is told wherever
  one may look: in the log, by `/readyz`, by the metric, by `bridge doctor`.
- What an answer names no more is accepted for a while longer, see `KnownNetworks`.

- An answer that is not whole, since a part of it cannot be accepted, adds networks and takes none away.

Of the processes on a folder that go by the same lists one asks, the others read what it wrote: see `NetworksFile`.
Where the disk does not let them agree, each asks for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

import aiohttp

from bridge import metrics
from bridge.ingress.ip_list import (
    CALL_TIMEOUT_S,
    NETTYPES,
    NamedNetworks,
    UnusableAnswerError,
    advice,
    ask_for_networks,
    some,
)
from bridge.ingress.known_networks import Change, KnownNetworks, ListId
from bridge.ingress.networks_file import NetworksFile, UnusableFileError
from bridge.journal.writer import FileThread
from bridge.settings import BridgeSettings
from common.logs import Throttle, fields
from common.networks import IPNetwork, NetworkSet
from common.rest.api import CallError, RestApi, rest_session
from common.rest.app import ImApp
from common.retry import Backoff
from common.text import duration, plural

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_INTERVAL_S = 1.0
"""Between two looks at the file, at who asks, and at the credentials."""
CALLS_AT_A_TIME = 4
RETRY_FIRST_S, RETRY_MAX_S = 2.0, 300.0
REPEAT_AFTER_S = 3600.0
"""What is still wrong is said again so rarely."""
FIRST_ANSWER_S = 3.0
"""At the start, how long the first answer is waited for where nothing is known: until then anybody may post."""
NEWER_ANSWER_S = 0.5
"""The same where the last good answer is known."""
FILE_S = 2.0
"""How long the disk may take for a look at the file."""
WRITE_S = 10.0
"""How long it may take for a change: nobody waits for that."""
NO_ANSWER = "the disk does not answer"
NOT_YET = "the platform has not named its networks yet"


class Outcome(NamedTuple):
    """Of one question."""

    list_id: ListId
    answer: NamedNetworks | None
    """None: there was none that can be used."""
    problem: str = ""


class AllowList:
    """Keeps the networks that may post. All of it runs on the event loop, the file is read and written in a thread.

    Args:
        settings: with `auto` among the networks.
        on_change: told of the networks whenever they may have changed, and where they are from; see `Ingress.allow`.
    """

    def __init__(self, settings: BridgeSettings, on_change: Callable[[NetworkSet, str], None]) -> None:
        self._settings = settings
        self._on_change = on_change
        self._apps: Mapping[str, ImApp] = settings.im_apps
        self._file = NetworksFile(settings.journal_dir)
        self._known = KnownNetworks()
        self._allowed = NetworkSet([])
        self._problem = self._file_problem = ""
        """Why the last question was of no use, and why the file cannot be written; empty: they are well."""
        self._is_asker = False
        self._ask_at = 0.0
        """Of the loop's clock."""
        retry_max_s = min(RETRY_MAX_S, settings.allowed_networks_interval_s)
        self._waits = Backoff(first_s=min(RETRY_FIRST_S, retry_max_s), max_s=retry_max_s)
        self._throttle = Throttle(REPEAT_AFTER_S)
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._thread: FileThread | None = None

    # -- What others see -----------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether every address may post, since the platform has never named its networks."""
        return not len(self._allowed)

    @property
    def age_s(self) -> float:
        """Seconds since the platform named its networks; infinite: it never has."""
        return math.inf if self.is_open else self._known.age_s(self._lists())

    @property
    def problem(self) -> str:
        """Why the platform did not say which its networks are when it was asked last, and why that is not kept."""
        return "; ".join(filter(None, (self._problem, self._file_problem)))

    def described(self) -> str:
        """Which networks may post, where they are from and of when: for people, in a part of a sentence."""
        static = len(set(self._settings.static_networks))
        if self.is_open:
            return f"any address: {self._not_yet()}"
        named = f"{plural(len(self._allowed), 'network')}, named by the platform {duration(self.age_s)} ago"
        return f"{named}, with the {static} of BRIDGE_ALLOWED_NETWORKS" if static else named

    def _not_yet(self) -> str:
        has_some = any(str(list_id) in self._known.lists for list_id in self._lists())
        return "the platform has named one of its two lists alone" if has_some else NOT_YET

    async def start(self) -> None:
        """Take what is on disk, and begin to ask in the background."""
        loop = asyncio.get_running_loop()
        self._thread = FileThread(loop, "allow-list")
        self._thread.start()
        await self._read_file()
        self._task = loop.create_task(self._run())

    async def settle(self, *, for_newer: bool = True) -> None:
        """Wait a moment for the first answer; without one, say what holds.

        Args:
            for_newer: also where an earlier answer is known.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_ANSWER_S if self.is_open else NEWER_ANSWER_S if for_newer else 0.0):
                await self._settled.wait()
        if self.is_open and not self._settled.is_set():
            self._tell_open("it has not answered so far")

    async def stop(self) -> None:
        """Ask no more. It does not wait for the disk."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._thread is not None:
            self._thread.stop()
        self._file.unlock()

    def refresh(self) -> None:
        """Set the gauges, and have who is refused be told the present age; to be called every now and then."""
        metrics.ALLOWED_NETWORKS.set(len(self._allowed))
        metrics.ALLOWED_NETWORKS_AGE.set(self.age_s)
        self._on_change(self._allowed, self.described())

    # -- Who asks, and when --------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:
                log.exception("the list of the platform's networks could not be renewed; it is tried again")
            await asyncio.sleep(min(LOOK_INTERVAL_S, self._settings.allowed_networks_interval_s))

    async def _look(self) -> None:
        has_new_apps = self._take_apps()
        was_asker, self._is_asker = self._is_asker, await self._may_ask()
        if not self._is_asker:
            self._file_problem = ""  # It is for another to write.
            await self._read_file()
            if not self.is_open:
                self._settled.set()
            return
        if not was_asker:
            await self._read_file()  # The former asker may have written just now.
        now = asyncio.get_running_loop().time()
        if not was_asker or has_new_apps or now >= self._ask_at:
            is_good = await self._ask()
            self._ask_at = asyncio.get_running_loop().time() + self._pause_s(is_good)
            self._settled.set()
        elif self._file_problem and self._known.lists:
            await self._write_file()

    def _take_apps(self) -> bool:
        """Whether BRIDGE_IM_APPS_FILE holds other credentials than before; that it holds none is a mistake."""
        apps = self._settings.latest().im_apps
        if not apps or apps == self._apps:
            return False
        self._apps = apps
        return True

    async def _may_ask(self) -> bool:
        try:
            return await self._of_file(partial(self._file.try_lock, self._lists()))
        except OSError as error:
            self._tell_unwritten(f"{self._file.path} cannot be written ({error.strerror or NO_ANSWER})")
            return True

    def _pause_s(self, is_good: bool) -> float:
        if not is_good:
            return next(self._waits)
        self._waits.reset()
        # Not all machines at the same moment.
        return self._settings.allowed_networks_interval_s * random.uniform(0.9, 1.0)  # noqa: S311 - no secret

    def _lists(self) -> list[ListId]:
        nettypes = NETTYPES[self._settings.allowed_networks_region]
        return [ListId(app_id, nettype) for app_id in self._apps for nettype in nettypes]

    # -- Asking --------------------------------------------------------------------------------------------------------

    async def _ask(self) -> bool:
        """Ask for all lists, and take what is good. Whether each of them came."""
        limit = asyncio.Semaphore(CALLS_AT_A_TIME)
        async with rest_session() as session:
            outcomes = await asyncio.gather(*(self._ask_for(session, limit, one) for one in self._lists()))
        problems = [outcome.problem for outcome in outcomes if outcome.problem]
        self._problem = some(problems)
        for outcome in outcomes:
            if outcome.answer is not None:
                # What cannot be accepted may stand for a network that was named before.
                keep_s = math.inf if outcome.answer.problems else self._settings.allowed_networks_keep_s
                change = self._known.merge(outcome.list_id, outcome.answer.networks, keep_s)
                self._tell_answer(outcome.list_id, outcome.answer, change)
        await self._use_known()
        if any(outcome.answer is not None for outcome in outcomes):
            self._known.forget_others(self._lists())
            await self._write_file()
        if self.is_open:
            self._tell_open(self._problem)
        elif problems and self._throttle.admits(f"failed: {self._problem}"):
            log.warning(
                "the platform does not say which networks it calls from: %s. %s hold",
                self._problem,
                self._hold(),
                extra=fields("allowed_networks_not_renewed", reason=self._problem),
            )
        return all(outcome.answer is not None for outcome in outcomes)

    async def _ask_for(self, session: aiohttp.ClientSession, limit: asyncio.Semaphore, list_id: ListId) -> Outcome:
        app = self._apps[list_id.app_id]
        api = RestApi(session, list_id.app_id, lambda: app, timeout_s=CALL_TIMEOUT_S)
        about = f"app {list_id.app_id}, nettype {list_id.nettype}"
        try:
            async with limit:
                answer = await ask_for_networks(api, list_id.nettype)
        except CallError as error:
            metrics.IP_LIST_CALLS.labels(error.error_class).inc()
            return Outcome(list_id, None, f"{error} ({about}: {advice(error.error_class)})")
        except UnusableAnswerError as error:
            metrics.IP_LIST_CALLS.labels("unusable").inc()
            return Outcome(list_id, None, f"{error} ({about})")
        metrics.IP_LIST_CALLS.labels("ok").inc()
        return Outcome(list_id, answer)

    async def _use_known(self) -> None:
        # In a thread, as the answer is read, for the same reason.
        allowed = await asyncio.to_thread(_allowed, self._known, self._lists(), self._settings.latest().static_networks)
        if allowed is not None:
            self._allowed = allowed
        self.refresh()

    # -- The file ------------------------------------------------------------------------------------------------------

    async def _read_file(self) -> None:
        try:
            lists = await self._of_file(self._file.read_if_changed)
        except (UnusableFileError, TimeoutError) as error:
            problem = str(error) or f"{self._file.path} cannot be read ({NO_ANSWER})"
            if self._throttle.admits(f"file: {problem}"):
                log.error(
                    "%s, and is not used. It is written anew when the platform names its networks",
                    problem,
                    extra=fields("allowed_networks_not_kept", reason=problem),
                )
            return
        if lists is not None:
            was = len(self._allowed)
            self._known = KnownNetworks(lists)
            await self._use_known()
            if len(self._allowed) != was:
                log.info("allowed by what is kept in %s: %s", self._file.path, self.described())

    async def _write_file(self) -> None:
        try:
            lists = self._lists()
            if await self._of_file(partial(self._file.try_lock, lists)):
                await self._of_file(partial(self._file.update, dict(self._known.lists), lists), WRITE_S)
            self._file_problem = ""
        except OSError as error:
            self._tell_unwritten(f"{self._file.path} cannot be written ({error.strerror or NO_ANSWER})")

    async def _of_file(self, work: Callable[[], T], within_s: float = FILE_S) -> T:
        """Do file work in the thread. Raises TimeoutError, which is an OSError: the disk hangs; it may end later."""
        assert self._thread is not None
        async with asyncio.timeout(within_s):
            return await self._thread.call(work)

    # -- What is told --------------------------------------------------------------------------------------------------

    def _tell_open(self, problem: str) -> None:
        if self._throttle.admits(f"open: {problem}"):
            log.error(
                "BRIDGE_ALLOWED_NETWORKS is auto, and %s: callbacks of ANY address are accepted until it names all, %s."
                " It is asked again and again: %s%s",
                self._not_yet(),
                "if their Sign is right"
                if all(self._settings.apps.values())
                else "and an app without a token has no Sign that would have to be right",
                problem or "one of its lists is missing",
                ". Say in BRIDGE_ALLOWED_NETWORKS_REGION where your server is, and one list is enough"
                if self._settings.allowed_networks_region == "any"
                else "",
                extra=fields("allowed_networks_unknown", reason=problem),
            )

    def _tell_unwritten(self, problem: str) -> None:
        self._file_problem = problem
        if self._throttle.admits(f"file: {problem}"):
            log.error(
                "what the platform names does not outlast a restart: %s. See BRIDGE_JOURNAL_DIR",
                problem,
                extra=fields("allowed_networks_not_kept", reason=problem),
            )

    def _tell_answer(self, list_id: ListId, answer: NamedNetworks, change: Change) -> None:
        about = f"app {list_id.app_id}, nettype {list_id.nettype}"
        if answer.problems and self._throttle.admits(f"entries: {list_id} {answer.problems}"):
            log.warning(
                "the platform names what is not accepted (%s): %s. If it is right, add it to BRIDGE_ALLOWED_NETWORKS",
                about,
                some(answer.problems),
                extra=fields("allowed_networks_not_accepted"),
            )
        if change.named < change.named_before / 2:
            log.warning(
                "the platform names %s where it named %d before (%s); the others may post for %s more",
                plural(change.named, "network"),
                change.named_before,
                about,
                duration(self._settings.allowed_networks_keep_s),
                extra=fields("allowed_networks_changed"),
            )
        if change.added or change.missing or change.dropped:
            log.info(
                "the platform names %s (%s): %s new%s, %s named no more%s, %s no longer accepted%s",
                plural(change.named, "network"),
                about,
                *(part for texts in (change.added, change.missing, change.dropped) for part in _counted(texts)),
                extra=fields("allowed_networks_changed"),
            )

    def _hold(self) -> str:
        return f"Those of {duration(self.age_s)} ago"


def _allowed(known: KnownNetworks, lists: list[ListId], static: list[IPNetwork]) -> NetworkSet | None:
    named = known.networks(lists)
    return None if named is None else NetworkSet({*named, *static})


def _counted(texts: list[str]) -> tuple[int, str]:
    return len(texts), f" ({some(texts)})" if texts else ""
