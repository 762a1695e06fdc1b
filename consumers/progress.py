"""Work of a command that waits through outages, and tells what it waits for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from common.retry import retry
from consumers.errors import describe, is_passing


class WaitingProgress(Protocol):
    """How far a command is."""

    waiting_for: str | None
    """What is away, while something is."""


P = TypeVar("P", bound=WaitingProgress)


async def retry_and_report(action: Callable[[], Awaitable[None]], progress: P, report: Callable[[P], None]) -> None:
    """Do something again until nothing that passes by itself is in its way.

    Args:
        action: what is done.
        progress: where it is noted what is waited for.
        report: told of it.

    Raises:
        whatever `action` raises that waiting does not help.
    """

    def wait_for(error: Exception) -> None:
        progress.waiting_for = describe(error)
        report(progress)

    try:
        await retry(action, on=is_passing, report=wait_for)
    finally:
        progress.waiting_for = None
