"""What `bridge load` does: has processes post callbacks, and shows what became of them."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from typing import NoReturn

import msgspec
import typer

from bridge.devstack.foreground import run_in_foreground
from bridge.devstack.posting import UsageError, credentials, signed_url
from bridge.load.plan import Burst, LoadPlan, read_mix
from bridge.load.tally import EXPECTED, Tally, most_common, percentile
from bridge.settings import DeveloperSettings
from common import logs
from common.settings import load_settings
from common.terminal import Output, ShowProgress, is_terminal, progress_bar, show_table

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "most": 1.0}
LATE_S = 0.01
"""A load that leaves later than that measures itself."""
SURPRISES = 5
"""So many kinds are told."""
END_WITHIN_S = 10.0


class LoadFailedError(Exception):
    """A process that posts has ended by itself. The message says why."""


def run(
    *,
    rate: float,
    seconds: float,
    mix: Sequence[str],
    burst: Burst | None,
    malformed: float,
    accounts: int,
    apps: Sequence[str],
    token: str | None,
    url: str | None,
    connections: int,
    processes: int,
    as_json: bool,
) -> NoReturn:
    """Post, and tell what became of it; for the arguments see `bridge.commands.load`.

    Raises:
        typer.Exit: always; with status 0 if each callback got the reply that it had to get, 1 if not, 2 if nothing can
            be posted.
    """
    output = Output()
    logs.configure(log_format="text", level="error")
    settings = load_settings(DeveloperSettings)
    address = url or f"http://127.0.0.1:{settings.port}/"
    try:
        signers = [credentials(settings, app, token) for app in apps or settings.apps]
        plan = LoadPlan(
            url=address,
            signers=signers,
            rate=rate,
            seconds=seconds,
            mix=read_mix(mix),
            malformed=malformed,
            burst=burst,
            accounts=accounts,
            connections=connections,
        )
        signed_url(address, signers[0], "")
    except UsageError as error:
        output.error(str(error))
        raise typer.Exit(2) from None
    load = _Load(plan, processes)
    try:
        run_in_foreground(load.run)
    except LoadFailedError as error:
        output.error(str(error))
        raise typer.Exit(2) from None
    tally, took_s = load.tally, load.posted_s
    if as_json:
        output.json(msgspec.json.encode(_as_object(tally, took_s)).decode())
    else:
        _show(tally, took_s, output)
    raise typer.Exit(0 if tally.is_as_expected else 1)


# -- Posting -----------------------------------------------------------------------------------------------------------


class _Load:
    """Processes that post as the plan says, and what they have told."""

    def __init__(self, plan: LoadPlan, processes: int) -> None:
        self.tally = Tally()
        self.posted_s = 0.0
        """How long callbacks were due."""
        self._plan = plan
        self._processes = processes

    async def run(self) -> None:
        """Post, and count. Cancelled it waits for the replies to what was posted.

        Raises:
            LoadFailedError: a process has ended by itself.
        """
        shares = [self._plan.share(number, self._processes) for number in range(self._processes)]
        processes = [await _start(share) for share in shares]
        try:
            for process in processes:
                if not await _output(process).readline():
                    raise LoadFailedError("a process that posts could not be started; see above")
            with progress_bar("posting") if is_terminal() else nullcontext() as show:
                await self._count_until_stopped(processes, show)
        finally:
            for process in processes:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    async def _count_until_stopped(self, processes: Sequence[Process], show: ShowProgress | None) -> None:
        began = time.monotonic()
        for process in processes:
            _input(process).write(b"go\n")
        try:
            await self._count(processes, show, began)
            self.posted_s = self._plan.seconds
        except asyncio.CancelledError:
            self.posted_s = time.monotonic() - began
            for process in processes:
                _input(process).close()
            with suppress(TimeoutError):
                async with asyncio.timeout(END_WITHIN_S):
                    await self._count(processes, None, began)
            raise

    async def _count(self, processes: Sequence[Process], show: ShowProgress | None, began: float) -> None:
        async def count(process: Process) -> None:
            while line := await _output(process).readline():
                self.tally.add(msgspec.json.decode(line, type=Tally))
                if show is not None:
                    passed_s = min(time.monotonic() - began, self._plan.seconds)
                    show(round(passed_s), round(self._plan.seconds), title=self._progress)
            if await process.wait():
                raise LoadFailedError("a process that posts has ended with an error; see above")

        await asyncio.gather(*map(count, processes))

    @property
    def _progress(self) -> str:
        tally = self.tally
        bad = tally.answered - sum(tally.outcomes.get(outcome, 0) for outcome in EXPECTED)
        times = ", ".join(f"{name} {_ms(percentile(tally.steps, SHARES[name]))}" for name in ("p50", "p99"))
        return f"{tally.answered:,} answered, {bad:,} not as they had to be, {times}"


async def _start(plan: LoadPlan) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge.load.posting_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=dict(os.environ),
        start_new_session=True,  # Ctrl-C is ours to handle.
        limit=2**24,
    )
    _input(process).write(msgspec.json.encode(plan) + b"\n")
    return process


def _input(process: Process) -> asyncio.StreamWriter:
    assert process.stdin is not None
    return process.stdin


def _output(process: Process) -> asyncio.StreamReader:
    assert process.stdout is not None
    return process.stdout


# -- What it tells -----------------------------------------------------------------------------------------------------


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"


def _as_object(tally: Tally, took_s: float) -> dict[str, object]:
    return {
        "seconds": round(took_s, 3),
        "due": tally.due,
        "outcomes": dict(tally.outcomes),
        "as_expected": tally.is_as_expected,
        "reply_seconds": {name: percentile(tally.steps, share) for name, share in SHARES.items()},
        "late_seconds": {name: percentile(tally.late_steps, share) for name, share in SHARES.items()},
        "surprises": dict(most_common(tally.surprises, SURPRISES)),
    }


def _show(tally: Tally, took_s: float, output: Output) -> None:
    output.line(f"{tally.due:,} callbacks in {took_s:.0f} s, {tally.due / max(took_s, 0.001):,.0f} a second")
    show_table(
        ("what became of them", "callbacks"),
        [(name, f"{n:,}") for name, n in most_common(tally.outcomes, len(tally.outcomes))],
    )
    times = [(name, _ms(percentile(tally.steps, share))) for name, share in SHARES.items()]
    show_table(("reply after", "from when it was due"), times)
    for surprise, number in most_common(tally.surprises, SURPRISES):
        output.remark(f"{number:,} times: {surprise}")
    late_s = percentile(tally.late_steps, SHARES["p99"])
    if late_s is not None and late_s > LATE_S:
        output.remark(
            f"One callback in a hundred left {_ms(late_s)} late or more: the times above are those of this program."
            " Give more --processes, or use a machine that does nothing else"
        )
