"""What `bridge reload` does: signals the parent of the ingress, and waits for what comes of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

import aiohttp
import msgspec
import typer
from yarl import URL

from bridge.settings import InspectionSettings
from common.admin_address import asked_host
from common.command_failed import CommandFailedError
from common.settings import load_settings
from common.terminal import Output

REPLY_TIMEOUT_S = 5.0
POLL_INTERVAL_S = 0.1
ENDS = {"done", "refused", "failed"}
BY_HAND = "Send SIGHUP to the process that was started first, and read its log"


class _Reload(msgspec.Struct):
    number: int
    state: str
    problem: str = ""


class _Told(msgspec.Struct):
    """What `/readyz` says about it."""

    pid: int
    reload: _Reload


def run(*, timeout_s: float) -> None:
    """Reload the ingress whose admin port the settings name.

    Raises:
        typer.Exit: with status 1 if it was not reloaded, 2 if there is none that can be asked.
    """
    output = Output()
    try:
        asyncio.run(_reload(_page(load_settings(InspectionSettings)), timeout_s))
    except CommandFailedError as error:
        output.error(str(error))
        raise typer.Exit(error.exit_status) from None
    output.line("reloaded: program and settings are those of now, and every process is new")


def _page(settings: InspectionSettings) -> URL:
    if settings.admin_port == 0:
        raise CommandFailedError(f"BRIDGE_ADMIN_PORT is 0, so the ingress cannot be asked. {BY_HAND}", exit_status=2)
    host = asked_host(settings.admin_host)
    return URL.build(scheme="http", host=host, port=settings.admin_port, path="/readyz")


async def _reload(page: URL, timeout_s: float) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REPLY_TIMEOUT_S)) as session:
        try:
            before = await _ask(session, page)
        except (aiohttp.ClientError, OSError, TimeoutError, msgspec.DecodeError) as error:
            raise CommandFailedError(
                f"no ingress tells at {page} which process it is: is it `bridge serve` of this version, on this machine"
                " and in this container (BRIDGE_ADMIN_HOST, BRIDGE_ADMIN_PORT)?",
                exit_status=2,
            ) from error
        _signal(before.pid)
        try:
            async with asyncio.timeout(timeout_s):
                after = await _end(session, page, before.reload.number)
        except TimeoutError:
            raise CommandFailedError(f"it is not done after {timeout_s:g} s, and goes on: see {page}") from None
    match after.state:
        case "refused":
            raise CommandFailedError(f"nothing was replaced, and all goes on as before: {after.problem}")
        case "failed":
            raise CommandFailedError(f"the former processes go on, and it is tried again: {after.problem}")


def _signal(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGHUP)
    except PermissionError:
        raise CommandFailedError(
            f"process {pid} is not yours: run this as the user of the ingress, or as root"
        ) from None
    except ProcessLookupError:
        raise CommandFailedError(
            f"the ingress is process {pid}, which is not here: run this in its container", exit_status=2
        ) from None


async def _ask(session: aiohttp.ClientSession, page: URL) -> _Told:
    async with session.get(page) as reply:
        return msgspec.json.decode(await reply.read(), type=_Told)


async def _end(session: aiohttp.ClientSession, page: URL, before: int) -> _Reload:
    """What came of the reload after the one of that number."""
    while True:
        # While one program becomes another nobody answers.
        with contextlib.suppress(aiohttp.ClientError, OSError, msgspec.DecodeError, TimeoutError):
            told = await _ask(session, page)
            if told.reload.number > before and told.reload.state in ENDS:
                return told.reload
        await asyncio.sleep(POLL_INTERVAL_S)
