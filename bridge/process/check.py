"""Would this version start with these settings? It is tried in a process of its own, before anything is replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Sequence

from bridge.process.app import Bridge
from bridge.process.given_sockets import CHECKED_FOR_VARIABLE
from bridge.process.ports import check_ports
from bridge.process.warm_up import warm_up
from bridge.settings import BridgeSettings

OPTION = "--check"
"""Of `bridge serve`."""
POLL_INTERVAL_S = 0.05
TOLD_CHARS = 4000
ERROR = "error: "


def check(settings: BridgeSettings) -> None:
    """Make all that a process of the ingress is made of, and take a callback most of its way; nothing is kept of it.

    Raises:
        OSError: it cannot be made.
    """

    check_ports(settings)

    async def make() -> None:
        Bridge(settings)
        warm_up(settings)

    asyncio.run(make())


async def ask_to_check(command: Sequence[str], *, within_s: float, is_given_ports: bool = False) -> str:
    """Let a program, as it is installed now, say whether it would start.

    Args:
        is_given_ports: whether it will have sockets that whoever started us has bound, whatever the settings say.

    Returns:
        why it would not, for people; empty: it would.
    """
    try:
        # In memory, for a reload may be what is wanted because the disk is full.
        told = os.fdopen(os.memfd_create("check"), "w+b")
    except OSError as error:
        return f"it cannot be checked: {error.strerror}"
    environment = {**os.environ, CHECKED_FOR_VARIABLE: "1"} if is_given_ports else None
    with told:
        try:
            # No process of asyncio: its watcher has a thread, beside which nothing could be forked.
            process = subprocess.Popen(  # noqa: ASYNC220, S603 - it returns at once; the command is our own
                [*command, OPTION], stdin=subprocess.DEVNULL, stdout=told, stderr=told, env=environment
            )
        except OSError as error:
            return f"{command[0]} cannot be executed: {error.strerror}"
        try:
            async with asyncio.timeout(within_s):
                while process.poll() is None:  # noqa: ASYNC110
                    await asyncio.sleep(POLL_INTERVAL_S)
        except TimeoutError:
            return f"it has not said within {within_s:g} s whether it would start (BRIDGE_START_TIMEOUT_S)"
        finally:
            with contextlib.suppress(OSError):
                process.kill()
            process.wait()
        if process.returncode == 0:
            return ""
        told.seek(0)
        return _essence(told.read().decode(errors="replace")) or f"its check ended with status {process.returncode}"


def _essence(told: str) -> str:
    """The errors in what it said; where it names none, as in a traceback, its last line."""
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    errors = [line.removeprefix(ERROR) for line in lines if line.startswith(ERROR)]
    return "; ".join(errors or lines[-1:])[:TOLD_CHARS]
