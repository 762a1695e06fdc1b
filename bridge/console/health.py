"""How all is, asked every few seconds for all browsers together, and remembered for the charts of the last hour."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from yarl import URL

from bridge.commands.ingress_status import IngressStatus
from bridge.commands.status_of_addresses import status_of_addresses
from bridge.commands.status_of_folder import status_of
from bridge.console.desk import DeskClient, DeskError
from bridge.console.ingress_metrics import Pages, growth, quantile_s, sums_of
from bridge.console.live import Live
from bridge.contract.json_schema import Json
from bridge.settings import DeveloperSettings
from common.admin_address import admin_page, asked_host
from common.logs import fields

LOOK_EVERY_S = 3.0
REMEMBERED_S = 3600
COUNT_LETTERS_EVERY_S = 60.0
log = logging.getLogger(__name__)

_PLAIN_DETAILS = frozenset({"worker", "kafka", "group", "breaker"})
"""What a worker says of itself in words of ours."""


class ChartedMoment(msgspec.Struct, array_like=True):
    """What is charted of one look; None where it is not known."""

    at_s: int
    """Unix time."""
    accepted_per_s: float | None = None
    refused_per_s: float | None = None
    published_per_s: float | None = None
    reply_p50_ms: float | None = None
    reply_p99_ms: float | None = None
    journal_bytes: int | None = None
    waiting: int | None = None
    lag: int | None = None


class HealthReport(msgspec.Struct):
    """How all is."""

    time_s: float = 0.0
    """When it was asked, Unix time."""
    ingress: IngressStatus | None = None
    ingress_problem: str = ""
    """Why nothing is known of the ingress, for people."""
    workers: list[Json] | None = None
    """As `consumers status --json` has them; None while they were not asked."""
    workers_problem: str = ""
    kafka_problem: str = ""
    """Why the page itself cannot read Kafka."""
    latest: ChartedMoment | None = None

    @property
    def well(self) -> bool | None:
        """Whether nothing is wrong; None while nobody was asked."""
        if not self.time_s:
            return None
        ingress_well = self.ingress is not None and self.ingress.well
        workers_well = not self.workers_problem and all(one["well"] for one in self.workers or ())
        return ingress_well and workers_well and not self.kafka_problem


class Health:
    """Asks again and again; `run` has to be running.

    Args:
        settings: whom to ask.
        live: counts what comes.
        desk: asks the workers.
    """

    def __init__(self, settings: DeveloperSettings, live: Live, desk: DeskClient) -> None:
        self.report = HealthReport()
        self.history: deque[ChartedMoment] = deque(maxlen=int(REMEMBERED_S / LOOK_EVERY_S))
        self._settings = settings
        self._live = live
        self._desk = desk
        self._metrics: tuple[float, Pages] = (0.0, {})
        self._letters_counted_at = float("-inf")
        self._letters: dict[str, Any] = {}
        """Worker → its dead letters, as they were counted last."""

    async def run(self) -> None:
        """Ask again and again. Ends never."""
        async with asyncio.TaskGroup() as group:
            # Apart: where Kafka is away, the workers' numbers take long, and the ingress says since when.
            group.create_task(_again_and_again(self._look_at_ingress, self._ingress_failed))
            group.create_task(_again_and_again(self._look_at_workers, self._workers_failed))

    def count_letters_soon(self) -> None:
        """Have the dead letters counted at the next look: some have come, or are done."""
        self._letters_counted_at = float("-inf")

    def workers_by_group(self) -> dict[str, str]:
        """Consumer group → its worker, which is in none that several would have: nobody could tell whose a letter is.

        Until it is asked, the group is taken to have the name of the worker.
        """
        places = {one["worker"]: one["place"] for one in self.report.workers or () if one.get("place")}
        groups = {name: places[name]["group"] if name in places else name for name in self._settings.console_workers}
        times = Counter(groups.values())
        return {group: name for name, group in groups.items() if times[group] == 1}

    async def _look_at_ingress(self) -> None:
        urls = await _every_address(self._settings.console_ingress)
        metrics = [admin_page(url, "/metrics") for url in urls or self._own_urls()]
        (ingress, problem), pages = await asyncio.gather(self._ingress(urls), sums_of(metrics))
        report = self.report
        report.ingress, report.ingress_problem = ingress, problem
        report.time_s, report.kafka_problem = time.time(), self._live.problem
        report.latest = self._sample(report, pages)
        self.history.append(report.latest)

    async def _look_at_workers(self) -> None:
        report = self.report
        report.workers, report.workers_problem = await self._workers()

    def _ingress_failed(self, why: str) -> None:
        report = self.report
        report.ingress, report.ingress_problem, report.time_s = None, why, time.time()

    def _workers_failed(self, why: str) -> None:
        self.report.workers, self.report.workers_problem = [], why

    def _own_urls(self) -> list[str]:
        settings = self._settings
        host = asked_host(settings.admin_host)
        shown = f"[{host}]" if ":" in host else host
        return [f"http://{shown}:{settings.admin_port}"] if settings.admin_port else []

    async def _ingress(self, urls: list[str]) -> tuple[IngressStatus | None, str]:
        folder = Path(self._settings.journal_dir)
        if urls:
            return await status_of_addresses(urls), ""
        try:
            if (found := await status_of(folder)).processes or found.left_behind or found.silent:
                return found, ""
        except OSError:
            pass  # No ingress has run here yet, or it is somebody else's.
        if own := self._own_urls():
            found = await status_of_addresses(own)
            if found.processes:
                return found, ""
        return None, (
            f"no ingress answers: not in {folder} (BRIDGE_JOURNAL_DIR), nor at {', '.join(own) or 'any admin port'}"
            " (BRIDGE_ADMIN_PORT). Start one, or name where it is in BRIDGE_CONSOLE_INGRESS"
        )

    async def _workers(self) -> tuple[list[Json], str]:
        workers = {name: await _every_address(urls) for name, urls in self._settings.console_workers.items()}
        if not workers:
            return [], ""
        counts = time.monotonic() - self._letters_counted_at > COUNT_LETTERS_EVERY_S
        if counts:
            self._letters_counted_at = time.monotonic()
        try:
            found: list[Json] = await self._desk.ask({"do": "workers", "workers": workers, "letters": counts})
        except DeskError as error:
            self.count_letters_soon()
            return [], error.shown(self._live.hiding)
        for one in found:
            if counts:
                self._letters[one["worker"]] = one["dead_letters"]
            one["dead_letters"] = self._letters.get(one["worker"])
            for process in one["processes"]:
                process["detail"] = self._shown(process["detail"])
        return found, ""

    def _shown(self, detail: Json) -> Json:
        """What a worker says of itself: why it waits may be words of its own, which may quote an event."""
        hiding = self._live.hiding
        if not hiding.is_active:
            return detail
        return {
            name: text if name in _PLAIN_DETAILS else hiding.shown_words(str(text)) for name, text in detail.items()
        }

    def _sample(self, report: HealthReport, pages: Pages) -> ChartedMoment:
        sample = ChartedMoment(int(report.time_s))
        (before_s, before), now_s = self._metrics, time.monotonic()
        self._metrics = (now_s, pages)
        if grown := growth(before, pages):
            sample.accepted_per_s, sample.refused_per_s, sample.published_per_s = (
                round(grown.counters[name] / (now_s - before_s), 2) for name in ("accepted", "refused", "published")
            )
            sample.reply_p50_ms, sample.reply_p99_ms = (_ms(quantile_s(grown.replies, share)) for share in (0.5, 0.99))
        if report.ingress is not None and report.ingress.processes:
            sample.waiting = report.ingress.total.events
            sample.journal_bytes = sum(one.disk.journal_bytes for one in report.ingress.processes)
        lags = [one["lag"]["events"] for one in report.workers or () if one.get("lag")]
        sample.lag = sum(lags) if lags else None
        return sample


async def _again_and_again(look: Callable[[], Awaitable[None]], failed: Callable[[str], None]) -> None:
    """Look for ever: a look that fails is told, and the next may succeed."""
    while True:
        began = time.monotonic()
        try:
            await look()
        except Exception as error:
            log.exception("how all is could not be asked", extra=fields("console_failed", path="/api/health"))
            failed(f"the console failed ({type(error).__name__}): see its log")
        await asyncio.sleep(max(0.5, LOOK_EVERY_S - (time.monotonic() - began)))


async def _every_address(urls: list[str]) -> list[str]:
    """The addresses with each name replaced by all the addresses that it has: replicas behind one name."""
    found = await asyncio.gather(*map(_addresses, urls))
    return list(dict.fromkeys(one for each in found for one in each))


async def _addresses(url: str) -> list[str]:
    address = URL(url)
    try:
        known = await asyncio.get_running_loop().getaddrinfo(
            str(address.host), address.port, type=socket.SOCK_STREAM, family=socket.AF_INET
        )
    except (OSError, UnicodeError):  # A label that is empty, or too long, is no name that anybody could have.
        return [url]
    hosts = {str(sockaddr[0]) for *_, sockaddr in known}
    if address.scheme == "https" or len(hosts) < 2:
        return [url]  # A certificate is of a name.
    return [str(address.with_host(host)) for host in sorted(hosts)]


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)
