"""What `bridge drift` does: asks ingresses what differed from the documentation, and shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from fnmatch import fnmatchcase
from http import HTTPStatus

import aiohttp
import msgspec
import typer
from rich.text import Text
from yarl import URL

from bridge.normalize.differences import DRIFT_PATH, OTHER, Difference, DriftReport, merged
from bridge.normalize.shapes import HIDDEN_NAME
from bridge.settings import InspectionSettings
from common.admin_address import admin_page, asked_host
from common.command_failed import CommandFailedError
from common.program import command_line
from common.settings import load_settings
from common.terminal import Output, is_terminal, plural, printable, show_table
from common.unreachable import why_unreachable

REPLY_TIMEOUT_S = 10.0
MAX_PAGE_BYTES = 16 * 1024 * 1024
HEADERS = ("command", "field", "kind", "times", "first seen (UTC)", "last seen (UTC)", "example")
STACKED_HEADERS = ("command, field", "kind, times", "first, last (UTC)", "example")
"""Two to a cell, so that they have room on a screen."""
ELSEWHERE = (
    "If it runs in a container, ask in there, as in `docker compose exec ingress bridge drift`; if on another machine,"
    " give its admin address with --url (BRIDGE_ADMIN_HOST says who reaches that)"
)


def run(pattern: str, *, urls: Sequence[str], as_json: bool, as_report: bool) -> None:
    """Show what differed; for the arguments see `bridge.commands.drift`.

    Raises:
        typer.Exit: with status 1 if an ingress does not tell, 2 if there is none to be asked.
    """
    output = Output()
    try:
        addresses = list(dict.fromkeys(map(_page_at, urls))) or [_own_page(load_settings(InspectionSettings))]
        report = _told(merged(asyncio.run(_ask(addresses))))
    except CommandFailedError as error:
        output.error(str(error))
        raise typer.Exit(error.exit_status) from None
    wanted = pattern.lower()
    report.differences = [one for one in report.differences if fnmatchcase(one.command.lower(), wanted)]
    if as_json:
        output.json(msgspec.json.encode(report).decode())
    elif not report.differences:
        what = "nothing" if pattern == "*" else f"nothing of {printable(pattern)}"
        output.line(f"{what} differed from the documentation {_span(report)}")
    elif as_report:
        _print_markdown(report, output)
    else:
        _print_table(report, output)
    if report.silent:
        output.remark(f"{plural(report.silent, 'process', 'processes')} did not answer: what is told lacks theirs")


# -- Asking ------------------------------------------------------------------------------------------------------------


def _own_page(settings: InspectionSettings) -> URL:
    """Where the ingress with these settings tells it, asked on its own machine.

    Raises:
        CommandFailedError: it has no admin port, or none that can be asked.
    """
    if settings.admin_port == 0:
        raise CommandFailedError(
            "BRIDGE_ADMIN_PORT is 0, so the ingress has no port on which it can be asked. Give it one and start it"
            " again, or name that of another with --url",
            exit_status=2,
        )
    host = asked_host(settings.admin_host)
    try:
        return URL.build(scheme="http", host=host, port=settings.admin_port, path=DRIFT_PATH)
    except ValueError:
        raise CommandFailedError(
            f"BRIDGE_ADMIN_HOST is {host!r}, which is no address or name of a host", exit_status=2
        ) from None


def _page_at(url: str) -> URL:
    """The page at an admin address.

    Raises:
        CommandFailedError: it is none.
    """
    try:
        return admin_page(url, DRIFT_PATH)
    except ValueError as error:
        raise CommandFailedError(str(error), exit_status=2) from None


async def _ask(addresses: Sequence[URL]) -> list[DriftReport]:
    """What each of them tells.

    Raises:
        CommandFailedError: one does not.
    """
    timeout = aiohttp.ClientTimeout(total=REPLY_TIMEOUT_S)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        return await asyncio.gather(*(_report_of(session, address) for address in addresses))


def _told(report: DriftReport) -> DriftReport:
    """The report, if a process told anything.

    Raises:
        CommandFailedError: none did.
    """
    if report.since:
        return report
    raise CommandFailedError(
        f"the ingress runs, and {'none of its processes answers' if report.silent else 'does not serve yet'}: ask again"
        " in a moment, and see its log"
    )


async def _report_of(session: aiohttp.ClientSession, address: URL) -> DriftReport:
    """What one of them tells. Raises as `_ask`."""
    at = address.with_path("").with_query(None).with_user(None)
    try:
        return msgspec.json.decode(await _page(session, address), type=DriftReport)
    except _NoPageError as error:
        raise CommandFailedError(f"{at} {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CommandFailedError(
            f"{at} answers, but not as the admin port of an ingress of this version does"
        ) from error
    except UnicodeError as error:  # of the name of a host
        raise CommandFailedError(f"{at} names no host that there can be", exit_status=2) from error
    except TimeoutError as error:
        raise CommandFailedError(f"{at} did not answer within {REPLY_TIMEOUT_S:.0f} s") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise CommandFailedError(f"{at} is not asked: {why_unreachable(error.certificate_error)}") from error
    except aiohttp.ClientConnectorError as error:
        raise CommandFailedError(
            f"nothing answers at {at} ({why_unreachable(error.os_error)}). Does the ingress run, and is this its"
            f" BRIDGE_ADMIN_PORT? {ELSEWHERE}"
        ) from error
    except aiohttp.ClientError as error:
        # Not the error's own words: they may be pages of what another service sends.
        raise CommandFailedError(
            f"{at} does not answer as HTTP does ({type(error).__name__}): is this the port of another service?"
        ) from error


class _NoPageError(Exception):
    """What answers has no such page; the message says what it does instead."""


async def _page(session: aiohttp.ClientSession, address: URL) -> bytes:
    async with session.get(address, allow_redirects=False) as reply:
        if reply.status == HTTPStatus.NOT_FOUND:
            raise _NoPageError(f"has no page {DRIFT_PATH}: it is of a worker, or of an older ingress")
        if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED}:
            raise _NoPageError(
                f"answers with status {reply.status}: a proxy before it asks who you are. Give name and password as in"
                " --url https://name:password@host, or ask on the machine of the ingress"
            )
        if reply.status != HTTPStatus.OK:
            raise _NoPageError(f"answers with status {reply.status}: it is no admin port of an ingress")
        content = b""
        while part := await reply.content.read(MAX_PAGE_BYTES):
            content += part
            if len(content) > MAX_PAGE_BYTES:
                raise _NoPageError("sends more than an ingress does: it is no admin port of one")
        return content


# -- Showing -----------------------------------------------------------------------------------------------------------


def _print_table(report: DriftReport, output: Output) -> None:
    if is_terminal():
        show_table(STACKED_HEADERS, [_stacked_cells(one) for one in report.differences])
    else:
        show_table(HEADERS, [_cells(one) for one in report.differences])
    output.remark(f"counted {_span(report)}. What was before is in the log: `differs from the documentation`", "dim")
    if _hides_a_name(report):
        output.remark(f"{HIDDEN_NAME}: it may be what a user wrote. The event has it whole", "dim")
    if any(one.field == OTHER for one in report.differences):
        output.remark(f"{OTHER}: too many to be told apart, counted together", "dim")
    output.remark(f"to report it: {command_line('bridge')} drift --report", "dim")


def _print_markdown(report: DriftReport, output: Output) -> None:
    output.line(f"### Callbacks that differ from the documentation, im-bridge {printable(report.version)}")
    output.line()
    hidden = f" `{HIDDEN_NAME}` stands for a name that may be a value." if _hides_a_name(report) else ""
    output.line(f"Counted {_span(report)}. Of an example names and types are shown, no values.{hidden}")
    output.line()
    output.line(f"| {' | '.join(HEADERS)} |")
    output.line("|" + " --- |" * len(HEADERS))
    for one in report.differences:
        output.line(f"| {' | '.join(_code(cell) for cell in _cells(one))} |")
    output.remark(
        "paste this into an issue of im-bridge. Say which site of the platform your app is on (China or international),"
        " and the page of the documentation, if you know it. Read it through before: it names fields and commands"
    )


def _cells(one: Difference) -> tuple[str, ...]:
    return one.command, one.field, one.kind, str(one.count), _second(one.first), _second(one.last), one.shape


def _hides_a_name(report: DriftReport) -> bool:
    return any(HIDDEN_NAME in cell for one in report.differences for cell in (*one.place, one.shape))


def _stacked_cells(one: Difference) -> list[Text]:
    command, field, kind, times, first, last, shape = map(printable, _cells(one))
    place = f"{command}\n{field}" if field else command
    return [*map(Text, (place, f"{kind}\n{times}", f"{first}\n{last}", shape))]


def _span(report: DriftReport) -> str:
    """Since when it was counted, and by how many."""
    first, last = map(_second, (report.since[0], report.since[-1]))
    who = "the ingress" if len(report.since) == 1 else f"its {len(report.since)} processes"
    return f"since {first} UTC, when {who} started{'' if first == last else f', the last of them {last}'}"


def _second(time: str) -> str:
    """A time of RFC 3339 in UTC, for people."""
    return time[:19].replace("T", " ")


def _code(cell: str) -> str:
    """Text in a cell of a table of Markdown, as it is."""
    shown = printable(cell).replace("`", "'").replace("|", "\\|")
    return f"`{shown}`" if shown else ""
