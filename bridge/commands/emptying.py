"""What `bridge journal wait` does: waits until Kafka has all that the ingress of this machine keeps.

For who is about to take the ingress away together with its disk, such as an orchestrator that scales in. The ingress is
asked on its admin port; files that nobody owns yet, which it is going to adopt, are seen in the folder.
"""

from __future__ import annotations

import http.client
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import typer
from prometheus_client.parser import text_string_to_metric_families

from bridge.journal.journal_name import damaged_in, journals_in
from bridge.journal.lock import lock_holder
from bridge.journal.own_file import ForeignError
from bridge.settings import InspectionSettings
from common.admin_address import asked_host
from common.metrics.catalogue import by_process
from common.settings import load_settings
from common.terminal import Output, plural, printable
from common.unreachable import why_unreachable

JOURNAL_BYTES, MEMORY_BYTES, KAFKA_OK = "bridge_journal_bytes", "bridge_memory_bytes", "bridge_kafka_ok"
POLL_S = 0.5
TELL_EVERY_S = 30.0
REPLY_TIMEOUT_S = 10.0
GIVE_UP_AFTER_S = 30.0
"""After so long without an answer there is nobody who would publish anything."""


class Held(NamedTuple):
    """What an ingress keeps for Kafka."""

    stored_bytes: int
    """In journal files."""
    memory_bytes: int
    """Neither on disk nor in Kafka."""
    confirms: bool
    """Whether Kafka takes what every process has."""
    silent: int
    """Processes that did not tell theirs."""
    orphans: int
    """Journals in the folder that nobody owns, and somebody is going to adopt."""

    @property
    def is_empty(self) -> bool:
        """Whether all is in Kafka, but for what is on its way there within milliseconds."""
        return not (self.stored_bytes or self.silent or self.orphans) and (self.confirms or not self.memory_bytes)

    def described(self) -> str:
        """For people."""
        parts = [f"{self.stored_bytes + self.memory_bytes:,} bytes wait for Kafka"]
        if not self.confirms:
            parts.append("which confirms nothing")
        if self.orphans:
            parts.append(plural(self.orphans, "journal waits to be adopted", "journals wait to be adopted"))
        if self.silent:
            parts.append(plural(self.silent, "process does not answer", "processes do not answer"))
        return ", ".join(parts)


class NobodyAnswersError(Exception):
    """The ingress cannot be asked; the message says why."""


def run(folder: Path | None, *, timeout_s: float, at_least_s: float) -> None:
    """Wait until nothing is held; for the arguments see `bridge.commands.journal.wait`.

    Raises:
        typer.Exit: with 1 if something is held still, or nobody can be asked; with 2 if there is no admin port.
    """
    settings = load_settings(InspectionSettings)
    output = Output()
    if settings.admin_port == 0:
        output.error("BRIDGE_ADMIN_PORT is 0, so the ingress has no port on which it can be asked. Give it one")
        raise typer.Exit(2)
    place = folder or settings.journal_dir
    timeout_s = max(timeout_s, at_least_s)
    try:
        held = _wait(settings, place, output, timeout_s=timeout_s, at_least_s=at_least_s)
    except NobodyAnswersError as error:
        output.error(str(error))
        raise typer.Exit(1) from None
    if not held.is_empty:
        output.error(f"after {timeout_s:.0f} s {held.described()}. It stays on disk, in {printable(str(place))}")
        raise typer.Exit(1)
    with suppress(OSError):
        if damaged := damaged_in(place):
            output.remark(f"{plural(len(damaged), 'damaged journal stays', 'damaged journals stay')} in {place}")
    output.line("Kafka has all that the journal held")


def _wait(settings: InspectionSettings, place: Path, output: Output, *, timeout_s: float, at_least_s: float) -> Held:
    """What is held in the end.

    Raises:
        NobodyAnswersError: for too long.
    """
    began = answered_at = time.monotonic()
    told_at = -TELL_EVERY_S
    while True:
        now = time.monotonic()
        try:
            held = _held(settings, place)
        except NobodyAnswersError:
            if now - answered_at > min(GIVE_UP_AFTER_S, timeout_s):
                raise
        else:
            answered_at = now
            passed = now - began
            # Before, a front may send callbacks still that find their way into the journal.
            if (held.is_empty and passed >= at_least_s) or passed > timeout_s:
                return held
            if not held.is_empty and now - told_at > TELL_EVERY_S:
                told_at = now
                output.line(f"{held.described()}; waiting for another {timeout_s - passed:.0f} s at most")
        time.sleep(POLL_S)


def _held(settings: InspectionSettings, place: Path) -> Held:
    """What is held now.

    Raises:
        NobodyAnswersError: the admin port does not tell.
    """
    orphans = _orphans(place)  # before: one that is adopted meanwhile is counted by its new owner
    samples = _samples(settings)
    told = {process for name, process, _ in samples if name == by_process(KAFKA_OK) and process}
    of_all = {name: value for name, process, value in samples if not process}
    return Held(
        stored_bytes=int(of_all[JOURNAL_BYTES]),
        memory_bytes=int(of_all.get(MEMORY_BYTES, 0)),
        confirms=bool(of_all.get(KAFKA_OK)),
        silent=max(0, settings.workers - len(told)),
        orphans=orphans,
    )


def _samples(settings: InspectionSettings) -> list[tuple[str, str, float]]:
    """Name, process and value of each sample that the ingress shows.

    Raises:
        NobodyAnswersError: it cannot be asked.
    """
    host = asked_host(settings.admin_host)
    at = f"{host} port {settings.admin_port}"
    connection = http.client.HTTPConnection(host, settings.admin_port, timeout=REPLY_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        families = list(text_string_to_metric_families(page))
    except (OSError, http.client.HTTPException) as error:
        raise NobodyAnswersError(
            f"nothing answers at {at} ({why_unreachable(error)}). Does the ingress run, and are BRIDGE_ADMIN_HOST and"
            " BRIDGE_ADMIN_PORT those that it has?"
        ) from error
    except ValueError as error:
        raise NobodyAnswersError(f"what answers at {at} is no ingress: it sends no metrics") from error
    finally:
        connection.close()
    samples = [
        (sample.name, sample.labels.get("process", ""), sample.value)
        for family in families
        for sample in family.samples
    ]
    if not any(name == JOURNAL_BYTES for name, _, _ in samples):
        raise NobodyAnswersError(f"what answers at {at} is no ingress: it has no {JOURNAL_BYTES}")
    return samples


def _orphans(folder: Path) -> int:
    """How many journals of a folder nobody owns; those that are none of ours nobody adopts."""
    orphans = 0
    with suppress(OSError):
        for path in journals_in(folder):
            with suppress(ForeignError, FileNotFoundError):
                orphans += lock_holder(path) is None
    return orphans
