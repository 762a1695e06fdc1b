"""What `bridge dev` does: runs the whole project on one machine, and shows what happens in it as it happens."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import shlex

import orjson
import typer

from bridge.contract.record_line import describe_record
from bridge.contract.samples import RECALLED
from bridge.devstack.console_service import ConsoleService
from bridge.devstack.embedded import NotInstalledError
from bridge.devstack.foreground import run_in_foreground, why_not_here
from bridge.devstack.inherited import InheritedSettings, inherited_settings
from bridge.devstack.ports import is_free
from bridge.devstack.posting import credentials, signed_url
from bridge.devstack.service import Service, ServiceError
from bridge.devstack.stack import BADGES, DEAD_LETTERS, EVENTS, STOP_TIMEOUT_S, Stack, running_stack
from bridge.settings import DEV_APP, DeveloperSettings
from common import logs
from common.kafka import diagnosis
from common.kafka.follower import Follower
from common.program import command_line
from common.settings import load_settings
from common.terminal import Output, printable

CLOCK_SKEW_S = 7 * 24 * 3600
"""The most that there may be: a line that was signed once can be pasted again as long as this is left running."""

LOG_POLL_INTERVAL_S = 0.2

_WORTH_SHOWING = re.compile(r"^\S+ (WARNING|ERROR|CRITICAL) |^Traceback|^error:")


def run(*, host: str | None, port: int | None) -> None:
    """Run it until Ctrl-C, on this address for callbacks; None: that of the settings, as far as they are set.

    Raises:
        typer.Exit: with status 1, if it cannot start, or a part of it ends.
    """
    output = Output()
    logs.configure(log_format="text", level="error")
    diagnosis.watch()
    settings = load_settings(DeveloperSettings)
    if "clock_skew_s" not in settings.model_fields_set:
        settings = settings.model_copy(update={"clock_skew_s": CLOCK_SKEW_S})
    host = host or (settings.host if "host" in settings.model_fields_set else "127.0.0.1")
    port = settings.port if port is None else port
    _check_port(output, host, port)
    try:
        run_in_foreground(lambda: _run_stack(settings, output, host=host, port=port))
    except (NotInstalledError, OSError) as error:
        output.error(why_not_here(error) if isinstance(error, OSError) else str(error))
        raise typer.Exit(1) from None
    except ServiceError as error:
        output.error(f"the {error}")
        output.show_log(error.service.name, error.service.last_words)
        raise typer.Exit(1) from None


def _check_port(output: Output, host: str, port: int) -> None:
    try:
        if is_free(host, port):
            return
        other = f"{command_line('bridge')} dev --port 0"
        output.error(f"port {port} of {host} is taken: end what listens there, or take another, as with `{other}`")
    except OSError as error:
        output.error(f"cannot listen on {host} port {port}: {error.strerror}. See --host and --port")
    raise typer.Exit(1)


async def _run_stack(settings: DeveloperSettings, output: Output, *, host: str, port: int) -> None:
    """Run until cancelled.

    Raises:
        NotInstalledError: it cannot start.
        ServiceError: a process does not start, or ended.
    """
    output.line("Starting an embedded broker and Redis, the ingress and the worker for badges …", "dim")
    try:
        inherited = inherited_settings()
        inherited.ingress["BRIDGE_CLOCK_SKEW_S"] = str(settings.clock_skew_s)
        async with running_stack(settings.apps, host=host, port=port, inherited=inherited) as stack:
            _introduce(stack, settings, output)
            _tell_of_settings(inherited, output)
            console = _console(stack, settings, inherited)
            try:
                await stack.while_running(_watch(stack, console, settings, output))
            finally:
                await console.stop(STOP_TIMEOUT_S)
    finally:
        output.line("Stopped; nothing is left of it.", "dim")


def _console(stack: Stack, settings: DeveloperSettings, inherited: InheritedSettings) -> ConsoleService:
    """The page that shows it, which is not started yet."""
    token = settings.console_token.get_secret_value() if settings.console_token else secrets.token_urlsafe(16)
    port = settings.console_port if "console_port" in settings.model_fields_set else None
    return ConsoleService(stack, settings.apps, token, port=port, inherited={**inherited.ingress, **inherited.worker})


async def _watch(stack: Stack, console: ConsoleService, settings: DeveloperSettings, output: Output) -> None:
    """Show everything. Ends never."""
    topics = [EVENTS, DEAD_LETTERS, BADGES]
    follower = Follower(stack.kafka_client, topics, from_beginning=True, report=lambda _: None)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_show_records(follower, output))
            for service in (stack.ingress, stack.worker):
                group.create_task(_show_log(service, output))
            group.create_task(_announce(stack, output))
            group.create_task(_show_console(console, settings, output))
    except* ServiceError as errors:
        raise errors.exceptions[0] from None


async def _show_records(follower: Follower, output: Output) -> None:
    async with contextlib.aclosing(follower.records()) as records:
        async for record in records:
            output.line(describe_record(record))


async def _announce(stack: Stack, output: Output) -> None:
    await stack.ready(stack.worker)
    output.line("The worker has joined its group: badges follow their events from now on.", "dim")


async def _show_console(console: ConsoleService, settings: DeveloperSettings, output: Output) -> None:
    """Start the page and tell its address; the rest goes on without it."""
    try:
        await console.start()
        await console.ready()
        # Behind the # it is sent to nobody; one of somebody's own is not printed.
        signed_in = "" if settings.console_token else f"#token={console.token}"
        output.line(f"Look at it in a browser: {console.url}{signed_in}", "bold green")
        status = await console.ended()
        output.line(f"The page has ended with exit status {status}; all else goes on.", "yellow")
    except ServiceError as error:
        output.line(f"There is no page to look at: {error}", "yellow")
    output.show_log(console.name, console.tail())


async def _show_log(service: Service, output: Output) -> None:
    """Show what a process complains of, such as a callback that it refused."""
    shown = 0
    while True:
        lines = service.output().splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]
        for line in whole[shown:]:
            if _WORTH_SHOWING.search(line):
                output.line(f"{service.name}: {printable(line.rstrip())}", "yellow")
        shown = len(whole)
        await asyncio.sleep(LOG_POLL_INTERVAL_S)


def _introduce(stack: Stack, settings: DeveloperSettings, output: Output) -> None:
    output.line()
    output.line(f"Post callbacks to {stack.url}", "bold green")
    output.line()
    bridge, consumers = command_line("bridge"), command_line("consumers")
    valid = "for as long as this runs" if settings.clock_skew_s == CLOCK_SKEW_S else f"for {settings.clock_skew_s} s"
    output.line(f"For example, in another terminal (signed {valid}; `{bridge} serve` takes a signature for 60 s):")
    output.line()
    output.line(_curl(stack.url, settings))
    output.line()
    output.line("or any other documented callback, signed anew:")
    output.line()
    output.line(f"{bridge} send C2C.CallbackAfterSendMsg --url {stack.url} --set UnreadMsgNum=3")
    output.line()
    output.line(f"For `{bridge} tail`, `{consumers} badge get ACCOUNT` and workers of yours in another terminal:")
    output.line()
    output.line(
        f"export BRIDGE_KAFKA_BOOTSTRAP_SERVERS={stack.broker.bootstrap} "
        f"CONSUMERS_KAFKA_BOOTSTRAP_SERVERS={stack.broker.bootstrap} CONSUMERS_REDIS_URL={stack.redis.url}"
    )
    output.line()
    if not settings.are_apps_set:
        output.line(f"The app is {DEV_APP}. Set BRIDGE_APPS for one of yours, to let the platform post here.", "dim")
    output.line(f"Metrics: {stack.admin_url}/metrics (ingress), {stack.worker_admin_url}/metrics (worker).", "dim")
    output.line(f"What differs from the platform's documentation: {bridge} drift --url {stack.admin_url}", "dim")
    output.line(f"How it is: {bridge} status {stack.journal_dir}", "dim")
    output.line(
        f"An outage of Kafka: kill -STOP {stack.broker.pid}, and to end it kill -CONT {stack.broker.pid}", "dim"
    )
    output.line(
        "The broker is a stand-in in memory. Ctrl-C ends everything. Events, badges, dead letters and warnings:", "dim"
    )
    output.line()


def _tell_of_settings(inherited: InheritedSettings, output: Output) -> None:
    if inherited.overridden:
        output.line(f"These settings have no effect here: {', '.join(inherited.overridden)}.", "dim")
        output.line()


def _curl(url: str, settings: DeveloperSettings) -> str:
    """A line for the shell that posts the sample."""
    body = orjson.dumps(orjson.loads(RECALLED.body)).decode()
    address = signed_url(url, credentials(settings), RECALLED.command)
    return f"curl -sS -w '\\n' -d {shlex.quote(body)} {shlex.quote(address)}"
