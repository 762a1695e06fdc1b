"""What `bridge doctor` does: tries everything that the ingress depends on, and changes nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import uvloop
from yarl import URL

from bridge.commands.allowed_networks import examine_networks
from bridge.http.certificates import CertificateError, day_of, read_pair
from bridge.http.server import listen
from bridge.journal.journal_name import SUFFIX
from bridge.process.ports import check_ports
from bridge.settings import BridgeSettings, InspectionSettings
from bridge.settings.access import too_many_tokens
from common.finding import Finding, show_findings
from common.kafka import diagnosis
from common.kafka.examination import ExamineTopic, connection_problem, examine_kafka
from common.kafka.topics import max_message_bytes, topic_config
from common.settings import load_settings, meaning_of
from common.terminal import plural
from common.text import byte_size
from common.topic import Topic

SYNC_COUNT = 20
SLOW_SYNC_MS = 50.0
DAY_S = 86_400
RENEWED_BEFORE_S = 14 * DAY_S
"""A certificate that is not renewed so long before its end is none that somebody renews in time."""


def run(*, as_json: bool) -> None:
    """Print what was found.

    Raises:
        SystemExit: with status 1, if there is a fault.
    """
    settings = load_settings(InspectionSettings)
    diagnosis.watch()
    if not uvloop.run(_examine(settings, as_json=as_json)):
        raise SystemExit(1)


Check = Callable[[InspectionSettings], Awaitable[Sequence[Finding]]]


async def _examine(settings: InspectionSettings, *, as_json: bool) -> bool:
    """Run all checks and print them. Whether all is well."""
    checks: list[Check] = [_apps, examine_networks, _ports, _certificates, _journal, _kafka, _decisions]
    findings = [finding for check in checks for finding in await check(settings)]
    return show_findings(findings, as_json=as_json)


async def _apps(settings: InspectionSettings) -> list[Finding]:
    if not settings.apps:
        # No fault on a machine that rescues journals, where nobody has it; `serve` says itself that it does not start.
        told = (
            "BRIDGE_APPS is not set here. Commands for journals, such as `journal drain`, do without;"
            f" the ingress does not start without it. {meaning_of(BridgeSettings, 'apps')}"
        )
        return [Finding("apps", True, told, is_note=True)]
    return [
        Finding(
            f"app {app}",
            bool(tokens),
            too_many_tokens(tokens) or plural(len(set(tokens)), "token")
            if tokens
            else "no token: anybody who knows the URL can post. Switch on authentication where the URL is set",
        )
        for app, tokens in settings.apps.items()
    ]


async def _ports(settings: InspectionSettings) -> list[Finding]:
    found = [_examine_port("BRIDGE_PORT", settings.host, settings.port)]
    try:
        check_ports(settings)
    except OSError as error:
        found.append(Finding(f"port {settings.admin_port}", False, str(error)))
    else:
        if settings.admin_port:
            found.append(_examine_port("BRIDGE_ADMIN_PORT", settings.admin_host, settings.admin_port))
    return found


def _examine_port(variable: str, host: str, port: int) -> Finding:
    subject = f"port {port}"
    try:
        listen(host, port).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            told = "in use: by the ingress, if it runs; else by another program"
        elif error.errno == errno.EACCES:
            told = "not for this user to take: systemd has to hold it, or the ingress must run as root"
        else:
            return Finding(subject, False, f"{error.strerror}: see {variable.replace('PORT', 'HOST')}")
        return Finding(subject, True, f"{told}, see {variable}")
    return Finding(subject, True, "free")


async def _certificates(settings: InspectionSettings) -> list[Finding]:
    found = []
    for files in settings.certificate_files.values():
        subject = f"certificate {files.certificate}"
        try:
            left_s = (expires_at := read_pair(files).expires_at) - time.time()
        except CertificateError as error:
            found.append(Finding(subject, False, str(error)))
        else:
            left = f"of use until {day_of(expires_at)}, for {plural(int(left_s // DAY_S), 'more day')}"
            is_soon = left_s < RENEWED_BEFORE_S
            found.append(
                Finding(subject, not is_soon, f"{left}: renew it, it is read anew by itself" if is_soon else left)
            )
    return found


async def _journal(settings: InspectionSettings) -> list[Finding]:
    """Whether the folder can be written, tried on a file without a name: nothing is left there, nor made."""
    folder = settings.journal_dir
    subject = f"journal in {folder}"
    try:
        place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        syncs_ms = _syncs_ms(place)
        space = os.statvfs(place)
    except OSError as error:
        return [Finding(subject, False, f"cannot be written ({error.strerror}): {_advice_on_disk(error)}")]
    free = space.f_bavail * space.f_frsize
    held = _size_of_journals(folder)
    budget = settings.journal_max_bytes * settings.workers
    has_room = free > budget - held
    told = f"{byte_size(free)} free; the journals may take {byte_size(budget)} (BRIDGE_JOURNAL_MAX_BYTES)"
    if held:
        told += f", and have {byte_size(held)}"
    if not has_room:
        told += ": remove from the disk what others keep there, enlarge it, or lower that setting"
    median_ms = statistics.median(syncs_ms)
    advice = "" if median_ms < SLOW_SYNC_MS else ": give it a faster disk, see BRIDGE_JOURNAL_DIR"
    return [
        Finding(subject, True, "can be written" if folder.exists() else "not there yet; made at the start"),
        Finding(
            "syncs there",
            median_ms < SLOW_SYNC_MS,
            f"half of {SYNC_COUNT} took at most {median_ms:.1f} ms, the slowest {max(syncs_ms):.1f} ms; replies wait"
            f" for one while Kafka is away{advice}",
        ),
        Finding("space for it", has_room, told),
    ]


def _advice_on_disk(error: OSError) -> str:
    """What to do about a folder that cannot be written. Another one would leave behind what waits in this one."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "remove from the disk what others keep there, or enlarge it"
        case errno.EROFS | errno.EIO:
            return "repair the disk, and mount it so that it can be written; nothing has to be restarted"
        case errno.EACCES | errno.EPERM:
            return "run this as the user of the ingress; if that may not write there either, give it the folder"
        case _:
            return "see BRIDGE_JOURNAL_DIR"


def _size_of_journals(folder: Path) -> int:
    """What they have of the disk by now; one may be removed meanwhile."""
    size = 0
    for path in folder.glob(f"*{SUFFIX}*"):
        with contextlib.suppress(OSError):
            size += path.lstat().st_size
    return size


def _syncs_ms(folder: Path) -> list[float]:
    """How long some syncs of a small write take."""
    took_ms = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(SYNC_COUNT):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            took_ms.append((time.perf_counter() - began) * 1000)
    return took_ms


async def _kafka(settings: InspectionSettings) -> list[Finding]:
    topics: dict[str, ExamineTopic] = {one.name: partial(_topic, settings, one) for one in settings.topics}
    if (audit := settings.audited_by) is not None:
        topics[audit.name] = partial(_audit_topic, settings, audit)
    return await examine_kafka(settings, topics)


async def _decisions(settings: InspectionSettings) -> list[Finding]:
    """Whether something listens where before-callbacks are decided. It is not asked: a question has effects."""
    urls = {URL(url.get_secret_value()) for url in settings.decision_urls.values()}
    found = []
    for origin, host, port in sorted({(str(url.origin()), url.host or "", url.port or 0) for url in urls}):
        subject = f"decisions by {origin}"
        if (problem := await connection_problem(host, port)) is None:
            found.append(Finding(subject, True, "something listens"))
        else:
            told = f"cannot be reached ({problem}): see BRIDGE_DECISION_URLS"
            until_then = f"until then BRIDGE_DECISION_ON_FAILURE holds: {settings.decision_on_failure}"
            found.append(Finding(subject, False, f"{told}; {until_then}"))
    return found


async def _topic(settings: InspectionSettings, topic: Topic, partitions: int | None) -> Finding:
    subject = f"topic {topic.name}"
    if partitions is None:
        return Finding(subject, True, f"missing; created at the start, or: {topic.command('…')}")
    limit = await max_message_bytes(settings.kafka_client(), topic.name)
    if limit is not None and limit < settings.max_body_bytes:
        return Finding(
            subject,
            False,
            f"takes records of {limit} bytes, but bodies may have {settings.max_body_bytes}:"
            f" raise its max.message.bytes to {settings.max_record_bytes}",
        )
    size = limit or "an unknown number of"
    return Finding(subject, True, f"{plural(partitions, 'partition')}, records of up to {size} bytes")


async def _audit_topic(settings: InspectionSettings, topic: Topic, partitions: int | None) -> Finding:
    subject = f"topic {topic.name}"
    if partitions is None:
        return Finding(subject, True, f"missing; created at the start, or: {topic.command('…')}")
    policy = await topic_config(settings.kafka_client(), topic.name, "cleanup.policy")
    if policy is not None and policy != "compact":
        return Finding(
            subject,
            False,
            f"its cleanup.policy is {policy}, so what processes stated is deleted some day, and no audit can know any"
            " more what there must be: set it to compact",
        )
    return Finding(subject, True, f"{plural(partitions, 'partition')}, what processes state of their records")
