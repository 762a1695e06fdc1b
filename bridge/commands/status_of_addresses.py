"""Asks ingresses at their admin ports how they are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from http import HTTPStatus

import aiohttp
import msgspec
from yarl import URL

from bridge.commands.ingress_status import IngressStatus, SilentProcess, status_now
from bridge.process.status import STATUS_PATH, StatusReport
from common.admin_address import admin_page
from common.text import plural
from common.unreachable import why_unreachable

ANSWER_TIMEOUT_S = 5.0
MAX_PAGE_BYTES = 16 * 1024 * 1024


async def status_of_addresses(urls: Sequence[str]) -> IngressStatus:
    """Ask at all of them.

    Raises:
        ValueError: one is no address.
    """
    pages = {url: admin_page(url, STATUS_PATH) for url in urls}
    told = dict(zip(pages, await asyncio.gather(*map(_ask, pages.values())), strict=True))
    silent = []
    for url, one in told.items():
        if isinstance(one, str):
            silent.append(SilentProcess(url, 0, one))
        elif one.silent:
            silent.append(SilentProcess(url, 0, f"{plural(one.silent, 'process', 'processes')} there did not answer"))
        elif not one.processes:
            silent.append(SilentProcess(url, 0, "it runs, and none of its processes has begun"))
    reports = [one.processes for one in told.values() if isinstance(one, StatusReport)]
    return status_now(reports, addresses=list(pages), silent=silent)


async def _ask(page: URL) -> StatusReport | str:
    """What an ingress tells, or why it does not."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(page, allow_redirects=False) as reply,
        ):
            if reply.status != HTTPStatus.OK:
                return f"answers {reply.status}: it is no ingress, or of a version without this page"
            return msgspec.json.decode(await _content(reply), type=StatusReport)
    except TimeoutError:
        return f"has not answered for {ANSWER_TIMEOUT_S:.0f} s: it is stopped, or hangs"
    except aiohttp.ClientConnectorError as error:
        return f"cannot be asked ({why_unreachable(error.os_error)}): BRIDGE_ADMIN_HOST and BRIDGE_ADMIN_PORT say where"
    except (aiohttp.ClientError, OSError, ValueError, RecursionError) as error:
        return f"does not answer as an ingress of this version does ({type(error).__name__})"


async def _content(reply: aiohttp.ClientResponse) -> bytes:
    """What was sent, as far as an ingress sends so much."""
    content = b""
    while len(content) <= MAX_PAGE_BYTES and (part := await reply.content.read(MAX_PAGE_BYTES)):
        content += part
    return content
