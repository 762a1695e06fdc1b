"""`bridge dev`: the whole project on one machine, up until Ctrl-C, with what happens in it as it happens."""

from __future__ import annotations

import asyncio
import re
import shlex

import orjson

from bridge.commands.send import DEV_APP, LocalSettings, credentials, samples, signed_url
from bridge.commands.tail import Filter, tail
from bridge.devstack.processes import Service, ServiceError, is_free
from bridge.devstack.stack import BADGES, DEAD_LETTERS, EVENTS, Stack, running
from common.kafka.follower import Follower
from common.terminal import Output, printable

SAMPLE = "C2C.CallbackAfterMsgWithDraw.v1"
CLOCK_SKEW_S = 30 * 24 * 3600
"""A line that was signed once can be pasted again as long as anybody leaves this running."""

LOG_POLL_S = 0.2

_WORTH_SHOWING = re.compile(r"^\S+ (WARNING|ERROR|CRITICAL) |^Traceback|^error:")


class PortTakenError(Exception):
    """Somebody else listens on the port. The message says what to do."""


async def dev(settings: LocalSettings, output: Output, *, host: str, port: int) -> None:
    """Run until cancelled.

    Raises:
        PortTakenError, NotInstalledError: it cannot start.
        ServiceError: a process does not start, or ended.
    """
    if port and not is_free(host, port):
        raise PortTakenError(
            f"port {port} of {host} is taken: end what listens there, or take another, as with `bridge dev --port 0`"
        )
    output.line("Starting an embedded broker and Redis, the ingress and the worker for badges …", "dim")
    try:
        async with running(settings.apps, host=host, port=port, clock_skew_s=CLOCK_SKEW_S) as stack:
            _introduce(stack, settings, output)
            await stack.while_running(_watch(stack, output))
    finally:
        output.line("Stopped; nothing is left of it.", "dim")


async def _watch(stack: Stack, output: Output) -> None:
    """Show everything. Ends never."""
    follower = Follower(
        lambda: stack.client, [EVENTS, DEAD_LETTERS, BADGES], from_beginning=True, report=lambda _: None
    )
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(tail(follower, Filter(), output, as_json=False))
            for service in (stack.ingress, stack.worker):
                group.create_task(_show_log(service, output))
            group.create_task(_announce(stack, output))
    except* ServiceError as errors:
        raise errors.exceptions[0] from None


async def _announce(stack: Stack, output: Output) -> None:
    await stack.ready(stack.worker)
    output.line("The worker has joined its group: badges follow their events from now on.", "dim")


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
        await asyncio.sleep(LOG_POLL_S)


def _introduce(stack: Stack, settings: LocalSettings, output: Output) -> None:
    output.line()
    output.line(f"Post callbacks to {stack.url}", "bold green")
    output.line()
    output.line(
        "For example, in another terminal (signed for as long as this runs; `bridge serve` takes a signature for 60 s):"
    )
    output.line()
    output.line(curl(stack.url, settings))
    output.line()
    output.line("or any other documented callback, signed anew:")
    output.line()
    output.line(f"bridge send C2C.CallbackAfterSendMsg --url {stack.url} --set UnreadMsgNum=3")
    output.line()
    output.line("For `bridge tail`, `consumers badge get ACCOUNT` and workers of yours in another terminal:")
    output.line()
    output.line(
        f"export BRIDGE_KAFKA_BOOTSTRAP_SERVERS={stack.broker.bootstrap} "
        f"CONSUMERS_KAFKA_BOOTSTRAP_SERVERS={stack.broker.bootstrap} CONSUMERS_REDIS_URL={stack.redis.url}"
    )
    output.line()
    if not settings.are_apps_set:
        output.line(f"The app is {DEV_APP}. Set BRIDGE_APPS for one of yours, to let the platform post here.", "dim")
    output.line(f"Metrics: {stack.admin_url}/metrics (ingress), {stack.worker_admin_url}/metrics (worker).", "dim")
    output.line(
        "The broker is a stand-in in memory. Ctrl-C ends everything. Events, badges, dead letters and warnings:", "dim"
    )
    output.line()


def curl(url: str, settings: LocalSettings) -> str:
    """A line for the shell that posts the sample."""
    app, token = credentials(settings, None, None)
    callback = samples()[SAMPLE]
    body = orjson.dumps(orjson.loads(callback.body)).decode()
    address = signed_url(url, app=app, token=token, command=callback.command)
    return f"curl -sS -w '\\n' -d {shlex.quote(body)} {shlex.quote(address)}"
