"""Publishes by hand what the journals of a folder hold whose process is gone, and tells what became of each."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bridge.audit.stating import Stating
from bridge.journal.inspection import NOT_OURS
from bridge.journal.journal import Journal
from bridge.journal.journal_name import damaged_in, journals_in
from bridge.journal.lock import lock_holder
from bridge.journal.own_file import ForeignError
from bridge.journal.store import DamagedError, OwnedError, Store, UnavailableError
from bridge.publish.publisher import Publisher
from bridge.publish.quarantine import refused_in
from bridge.settings import BridgeSettings

PROGRESS_INTERVAL_S = 0.1
STATE_S = 10.0
"""How long Kafka may take for what is stated in the end."""


class LeftBehind(NamedTuple):
    """A file that was not published as a whole, and why not."""

    path: Path
    events: int | None
    """How many it holds still; None where nobody knows."""
    reason: str
    process: int | None = None
    """The living process that has it open, 0 if it is in another container."""


class Drained(NamedTuple):
    """What became of the journals of a folder."""

    journals: int
    """How many there were, also those that could not be read."""
    found: Counter[str]
    """Topic → events in those that could be read."""
    published: Counter[str]
    quarantined: Counter[str]
    """Topic → events that Kafka refuses for good."""
    left: list[LeftBehind]
    kafka_problem: str
    """Why it was given up before the end; empty where it was not."""

    @property
    def is_complete(self) -> bool:
        """Whether there was something, and all of it is in Kafka."""
        return bool(self.journals) and not (self.left or self.quarantined)


class _Survey(NamedTuple):
    events: dict[Path, Counter[str]]
    """Of the journals that nobody owns and that can be read: what each holds, by topic."""
    left: list[LeftBehind]
    """The others."""

    @property
    def found(self) -> Counter[str]:
        return sum(self.events.values(), Counter())


async def drain_folder(
    folder: Path, settings: BridgeSettings, *, give_up_after_s: float, show_progress: Callable[[int, int], object]
) -> Drained:
    """Publish what nobody owns in a folder, until all of it is in Kafka, or Kafka takes nothing for long.

    Args:
        folder: where the journals are.
        settings: how Kafka is reached.
        give_up_after_s: for how long Kafka may confirm nothing.
        show_progress: called now and then with bytes that are done, and of how many.

    Raises:
        OSError: the folder cannot be read.
    """
    before = _surveyed(folder)
    already_damaged = len(damaged_in(folder))
    publisher = Publisher(settings)
    problem = ""
    if before.events:
        problem = await _publish(folder, settings, publisher, give_up_after_s, show_progress)
    quarantined = publisher.quarantine.kept
    after = _surveyed(folder)
    why = problem or "it cannot be read any more: see above"
    left = [LeftBehind(path, topics.total(), why) for path, topics in after.events.items() if topics.total()]
    left += after.left
    left += [LeftBehind(path, None, "it is damaged: look at it with sqlite3") for path in damaged_in(folder)]
    return Drained(
        journals=len(before.events) + len(before.left) + already_damaged,
        found=before.found,
        published=before.found - after.found - quarantined,
        quarantined=quarantined,
        left=left,
        kafka_problem=problem,
    )


async def _publish(
    folder: Path,
    settings: BridgeSettings,
    publisher: Publisher,
    give_up_after_s: float,
    show_progress: Callable[[int, int], object],
) -> str:
    """Why it was given up, if it was."""
    loop = asyncio.get_running_loop()
    journal = Journal.from_settings(settings, outlet=publisher, folder=folder)
    stating = Stating.from_settings(settings, folder, partial(refused_in, folder))
    if stating is not None:
        journal.number_by(await stating.begin())
        stating.start(journal)
    await journal.start()
    total = left = journal.state.stored_bytes
    confirmed_at = loop.time()
    try:
        if not journal.is_drained:
            publisher.start(journal)
        while not journal.is_drained:
            if (now_left := journal.state.stored_bytes) < left:
                left, confirmed_at = now_left, loop.time()
            if loop.time() - confirmed_at > give_up_after_s:
                return _unreached(settings, publisher, give_up_after_s)
            show_progress(total - left, total)
            await asyncio.sleep(PROGRESS_INTERVAL_S)
        show_progress(total, total)
        return ""
    finally:
        await publisher.stop()
        await journal.look()
        await journal.stop(settings.stop_timeout_s)
        if stating is not None:
            await stating.stop(STATE_S, is_last=True)


def _unreached(settings: BridgeSettings, publisher: Publisher, seconds: float) -> str:
    verb = "cannot be reached, or not used" if publisher.state == "away" else "is reached, and confirms nothing"
    return (
        f"Kafka at {settings.kafka_bootstrap_servers} (BRIDGE_KAFKA_BOOTSTRAP_SERVERS) {verb}: given up after"
        f" {seconds:g} s without a confirmation (--timeout)"
    )


def _surveyed(folder: Path) -> _Survey:
    """What lies in a folder, by opening each file for a moment: nobody needs them now but us."""
    events: dict[Path, Counter[str]] = {}
    left: list[LeftBehind] = []
    for path in journals_in(folder):
        try:
            if (process := lock_holder(path)) is not None:
                left.append(LeftBehind(path, None, _owner(process), process))
                continue
            store = Store.open(path)
            try:
                events[path] = Counter({one.topic: one.records for one in store.backlog()})
            finally:
                store.close()
        except FileNotFoundError:
            continue
        except OwnedError:
            left.append(LeftBehind(path, None, "in use by a living process", 0))
        except DamagedError as error:
            # It is renamed when the journals are taken over, so that nobody tries it again.
            left.append(LeftBehind(path, None, str(error)))
        except PermissionError:
            left.append(LeftBehind(path, None, NOT_OURS))
        except (ForeignError, UnavailableError, sqlite3.Error, OSError) as error:
            left.append(LeftBehind(path, None, f"{error}{_advice(folder)}"))
    return _Survey(events, left)


def _owner(process: int) -> str:
    return f"in use by the living process {process}" if process else "in use by a living process, of another container"


def _advice(folder: Path) -> str:
    """What to do where the disk cannot be written."""
    if os.access(folder, os.W_OK):
        return ""
    return f". {folder} cannot be written: copy it to where we may write (cp -r {folder} COPY), and drain the copy"
