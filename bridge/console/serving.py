"""What `bridge console` does: serves the page until Ctrl-C."""

from __future__ import annotations

import asyncio
import logging

import typer
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.console.access import is_loopback
from bridge.console.application import make_application
from bridge.console.connections import BACKLOG, IDLE_S, Connections
from bridge.console.parts import running_parts
from bridge.devstack.foreground import run_in_foreground
from bridge.devstack.stack import reachable
from bridge.settings import DeveloperSettings
from common import logs
from common.kafka import diagnosis
from common.listening import listen
from common.settings import load_settings
from common.terminal import Output

READY = "The page is at"


def run(*, host: str | None, port: int | None) -> None:
    """Serve the page; for the arguments see `bridge.console.command`.

    Raises:
        typer.Exit: with status 1 where it cannot listen, 2 where the settings do not go together.
    """
    given = {"console_host": host, "console_port": port}
    settings = load_settings(DeveloperSettings, **{name: value for name, value in given.items() if value is not None})
    logs.configure(log_format=settings.log_format, level="warning")
    logging.getLogger("aiohttp.access").disabled = True
    logging.getLogger("aiohttp.server").addFilter(_is_of_ours)
    diagnosis.watch()
    output = Output()
    says_who_may_look = "console_look_from" in settings.model_fields_set
    if settings.console_token is None and not says_who_may_look and not is_loopback(settings.console_host):
        output.error(
            f"others than this machine may come to {settings.console_host or 'every address of it'}, and there is no"
            " token: set BRIDGE_CONSOLE_TOKEN, or BRIDGE_CONSOLE_HOST to 127.0.0.1"
        )
        raise typer.Exit(2)
    try:
        run_in_foreground(lambda: _serve(settings, output))
    except OSError as error:
        output.error(f"{error.strerror or error}. See BRIDGE_CONSOLE_HOST and BRIDGE_CONSOLE_PORT")
        raise typer.Exit(1) from None


def _is_of_ours(entry: logging.LogRecord) -> bool:
    """Whether it tells of more than what somebody sent that is no request: that is answered 400, and anybody may."""
    return not (entry.exc_info and isinstance(entry.exc_info[1], HttpProcessingError))


async def _serve(settings: DeveloperSettings, output: Output) -> None:
    """Serve until cancelled.

    Raises:
        OSError: it cannot listen.
    """
    listener = listen(settings.console_host, settings.console_port, backlog=BACKLOG)
    async with running_parts(settings) as parts:
        connections = Connections()
        runner = web.AppRunner(
            make_application(parts, connections),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=1,
            keepalive_timeout=IDLE_S,
        )
        await runner.setup()
        assert runner.server is not None
        try:
            async with connections.accepting(runner.server, listener):
                port = listener.getsockname()[1]
                output.line(f"{READY} http://{reachable(settings.console_host)}:{port}/", "bold green")
                output.line(_what_may_be_done(settings), "dim")
                await asyncio.Event().wait()
        finally:
            for viewer in list(parts.live.viewers):
                viewer.drop()
            await runner.cleanup()


def _what_may_be_done(settings: DeveloperSettings) -> str:
    if settings.console_token is None:
        return (
            "It can only be looked at, from this machine: with BRIDGE_CONSOLE_TOKEN one may sign in and change things."
        )
    return "Whoever signs in with BRIDGE_CONSOLE_TOKEN may change things."
