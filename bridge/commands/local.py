"""The commands for people who try the bridge out or look into a topic: `dev`, `demo`, `send`, `tail`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from bridge.commands import send as sending
from bridge.commands.demo import Demo
from bridge.commands.dev import PortTakenError
from bridge.commands.dev import dev as run_dev
from bridge.commands.send import LocalSettings, NoReplyError, UsageError
from bridge.commands.tail import Filter
from bridge.commands.tail import tail as run_tail
from bridge.devstack.embedded import NotInstalledError
from bridge.devstack.processes import ServiceError, until_signalled
from common import logs
from common.kafka.follower import Follower
from common.settings import load
from common.terminal import Output, printable

app = typer.Typer()


@app.command()
def dev(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port for callbacks; 0: any that is free.")] = 8080,
    host: Annotated[str, typer.Option(help="Address for callbacks; 0.0.0.0 to let other machines post.")] = "127.0.0.1",
) -> None:
    """Run everything on this machine, Kafka and Redis included, until Ctrl-C; show what happens."""
    output = Output()
    settings = _settings()
    _until_signalled(output, lambda: run_dev(settings, output, host=host, port=port))


@app.command()
def demo() -> None:
    """Show one callback on its whole way, on an embedded Kafka and Redis; fail if any step of it fails."""
    output = Output()
    _quiet()
    succeeded = False

    async def work() -> None:
        nonlocal succeeded
        succeeded = await Demo(output).run()

    if _until_signalled(output, work):
        raise typer.Exit(130)
    raise typer.Exit(0 if succeeded else 1)


@app.command()
def send(
    name: Annotated[
        str | None,
        typer.Argument(metavar="COMMAND", help="A callback command, or one of its samples; none: list them."),
    ] = None,
    *,
    url: Annotated[str | None, typer.Option(help="Where to post; default: this machine, BRIDGE_PORT.")] = None,
    app_id: Annotated[str | None, typer.Option("--app", help="SdkAppid; default: the first of BRIDGE_APPS.")] = None,
    token: Annotated[str | None, typer.Option(help="Token to sign with; default: that of BRIDGE_APPS.")] = None,
    body: Annotated[Path | None, typer.Option(help="File with a body of your own; - for standard input.")] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Change a field of the body.")
    ] = None,
) -> None:
    """Post a callback as the platform does, signed, with a documented body or one of your own."""
    output = Output()
    if name is None:
        for sample in sending.samples():
            output.line(sample)
        return
    settings = _settings()
    try:
        callback = sending.Callback(name, _read(body)) if body else sending.find(name)
        content = sending.changed(callback.body, changes or ())
        app_used, token_used = sending.credentials(settings, app_id, token)
        place = url or f"http://127.0.0.1:{settings.port}/"
        signed = sending.signed_url(place, app=app_used, token=token_used, command=callback.command)
    except UsageError as error:
        output.error(str(error))
        raise typer.Exit(2) from None
    try:
        reply = asyncio.run(sending.post(signed, content))
    except NoReplyError as error:
        output.error(str(error))
        raise typer.Exit(1) from None
    text = printable(reply.body.decode(errors="replace").strip())
    output.line(f"{reply.status} {reply.reason} {text}", "green" if reply.accepted else "red")
    if remark := sending.hint(reply, settings, own_token=token is not None):
        output.remark(remark)
    raise typer.Exit(0 if reply.accepted else 1)


@app.command()
def tail(
    topic: Annotated[str | None, typer.Argument(help="Default: BRIDGE_TOPIC.")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Also what is there already.")] = False,
    type_: Annotated[str, typer.Option("--type", help="Only events of this type; wildcards as in im.c2c.*")] = "*",
    account: Annotated[str | None, typer.Option(help="Only what is about this account or group.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The values themselves, one a line.")] = False,
) -> None:
    """Show a topic live, one line a record: events, dead letters, badges."""
    output = Output()
    settings = _settings()
    try:
        follower = Follower(
            settings.kafka_client, [topic or settings.topic], from_beginning=from_beginning, report=output.remark
        )
    except OSError as error:
        output.error(f"a certificate of the Kafka connection cannot be read ({error}): see BRIDGE_KAFKA_SSL_…")
        raise typer.Exit(2) from None
    shown = Filter(type=type_, account=account)
    _until_signalled(output, lambda: run_tail(follower, shown, output, as_json=as_json))


def _settings() -> LocalSettings:
    _quiet()
    return load(LocalSettings)


def _quiet() -> None:
    logs.configure(log_format="text", level="error")


def _read(path: Path) -> bytes:
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _until_signalled(output: Output, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
    """Do `work` until Ctrl-C or SIGTERM; whether one of them ended it."""

    async def run() -> bool:
        return await until_signalled(work())

    try:
        return asyncio.run(run())
    except (NotInstalledError, PortTakenError) as error:
        output.error(str(error))
    except ServiceError as error:
        output.error(f"the {error}")
        output.show_log(error.service.name, error.service.last_words)
    except BrokenPipeError:
        sys.stderr.close()  # who read our output has gone, and the interpreter would complain of it at its end
        raise typer.Exit(0) from None
    raise typer.Exit(1)
