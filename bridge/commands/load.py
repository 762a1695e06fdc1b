"""`bridge load`: posts callbacks at a rate, to see what an ingress takes."""
# ruff: noqa: PLC0415 - see bridge/commands/__init__.py

from __future__ import annotations

from typing import Annotated

import typer


def load(
    rate: Annotated[
        float, typer.Option(min=0.1, max=1_000_000, help="Callbacks a second, whatever is answered.")
    ] = 100,
    seconds: Annotated[float, typer.Option(min=1, max=31_536_000, help="How long; Ctrl-C ends it before.")] = 30,
    *,
    mix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COMMAND=SHARE",
            help="Which callbacks, such as State.StateChange=20; may be given several times. Default: those of a chat.",
        ),
    ] = None,
    burst: Annotated[
        int, typer.Option(min=0, max=1_000_000, help="So many callbacks more at once, again and again.")
    ] = 0,
    burst_every: Annotated[float, typer.Option(min=0.1, max=86_400, help="Seconds between two bursts.")] = 10,
    malformed: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share with half a body, or a wrong signature: 0.01 is one in a hundred."),
    ] = 0,
    accounts: Annotated[
        int, typer.Option(min=1, max=10**9, help="So many accounts and groups they are about; 1: a hot key.")
    ] = (100_000),
    apps: Annotated[
        list[str] | None, typer.Option("--app", help="SdkAppids, in turn; default: all of BRIDGE_APPS.")
    ] = None,
    token: Annotated[str | None, typer.Option(help="Token to sign with; default: those of BRIDGE_APPS.")] = None,
    url: Annotated[str | None, typer.Option(help="Where to post; default: this machine, BRIDGE_PORT.")] = None,
    connections: Annotated[int, typer.Option(min=1, max=65_536, help="Connections that are kept, at most.")] = 256,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Post from so many: one does some 2,000 a second.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="The result for programs.")] = False,
) -> None:
    """Post many callbacks, as fast as you say, and tell how long the replies take: to size an ingress.

    A callback leaves when its time has come, however late the replies to others are, as on the platform: it hangs up
    after 2 seconds, and sends nothing again. Times count from when a callback was due, so nothing that waits is left
    out. The events are real: do not do this to a bridge whose topic others read. Ends with 1 where a callback did not
    get the reply that it had to get, with 2 where nothing can be posted.
    """
    from bridge.commands import loading
    from bridge.load.plan import Burst

    loading.run(
        rate=rate,
        seconds=seconds,
        mix=mix or (),
        burst=Burst(burst, burst_every) if burst else None,
        malformed=malformed,
        accounts=accounts,
        apps=apps or (),
        token=token,
        url=url,
        connections=connections,
        processes=processes,
        as_json=as_json,
    )
