"""Kills containers and scales the stack while callbacks arrive, then asks for every one that was acknowledged.

`python -m tests.compose` (`make compose-test`) needs a Docker engine with compose 2.24. It prints what it does, and a
verdict; its exit status is 0 if every promise was kept.
"""

import contextlib
import re
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from bridge.settings import DEV_APP, DEV_TOKEN
from tests.compose.stack import ComposeError, ComposeStack
from tests.support.badge_model import expected, rfc3339
from tests.support.callbacks import PLATFORM_WAITS_S
from tests.support.load import Load
from tests.support.topic import read_all
from tests.support.verdict import verdict
from tests.support.waiting import wait_until

CONNECTIONS = 48
RATE_PER_S = 300
ADOPTION_TIMEOUT_S = 60.0
UNPROVEN_KEPT_S = 15.0
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}")

Badges = dict[str, dict[str, Any]]

console = Console(highlight=False, soft_wrap=True)
started = time.monotonic()


@dataclass(frozen=True)
class Damage:
    """What was done to the stack."""

    load: Load
    left_behind: int
    """Records in the journal of the container that was killed."""
    refused_in_scaling: int


@dataclass(frozen=True)
class KeptPromise:
    """A promise, and whether it was kept."""

    promise: str
    kept: bool
    seen: str


def tell(text: str) -> None:
    console.print(f"[dim]{time.monotonic() - started:5.0f} s[/]  {text}")


def hurt(stack: ComposeStack) -> Damage:
    """Load, while a container of each kind is killed and the ingress is scaled in."""
    with Load(stack.port, connections=CONNECTIONS, rate=RATE_PER_S, app_id=DEV_APP, token=DEV_TOKEN) as load:
        load.wait_acknowledged(2 * RATE_PER_S)
        tell("Kafka freezes: what is acknowledged from now on is in the journals only")
        stack.compose("pause", "kafka")
        load.wait_acknowledged(3 * RATE_PER_S)
        tell("an ingress container is killed, its journal full")
        stack.kill("ingress", 2)
        left_behind = stack.left_behind()
        load.wait_acknowledged(2 * RATE_PER_S)
        tell("Kafka goes on")
        stack.compose("unpause", "kafka")
        load.wait_acknowledged(2 * RATE_PER_S)
        tell("a worker is killed")
        stack.kill("badges", 1)
        load.wait_acknowledged(3 * RATE_PER_S)
        before = len(load.refused)
        tell("scaled to one ingress; the killed worker is started again")
        stack.up(ingress=1, badges=2)
        load.wait_acknowledged(2 * RATE_PER_S)
    return Damage(load, left_behind, len(load.refused) - before)


def seconds_until(condition: Callable[[], bool], *, timeout: float) -> float | None:
    """How long it took, or None."""
    begun = time.monotonic()
    try:
        wait_until(condition, timeout=timeout, what="", every=0.5)
    except TimeoutError:
        return None
    return time.monotonic() - begun


def events(stack: ComposeStack) -> list[dict[str, Any]]:
    return [message.event for message in read_all(stack.bootstrap, "im.events", timeout=60)]


def badges_in_redis(stack: ComposeStack) -> Badges:
    prefix = f"im:badge:{DEV_APP}:"
    (keys,) = stack.redis([f"KEYS {prefix}*"])
    assert isinstance(keys, list)
    replies = stack.redis([f"HMGET {key} unread time event_id stale" for key in keys])
    badges = {}
    for key, reply in zip(keys, replies, strict=True):
        assert isinstance(reply, list)
        unread, time_ms, event_id, stale = reply
        known = {"unread": int(unread), "time": rfc3339(int(time_ms)), "event_id": event_id, "stale": stale == "1"}
        badges[key.removeprefix(prefix)] = known
    return badges


def badges_on_topic(stack: ComposeStack) -> Badges:
    newest = {message.event["account"]: message.event for message in read_all(stack.bootstrap, "im.badges", timeout=60)}
    fields = ("unread", "time", "event_id", "stale")
    return {account: {name: badge[name] for name in fields} for account, badge in newest.items()}


def judge(stack: ComposeStack, damage: Damage) -> list[KeptPromise]:
    load = damage.load

    def strays() -> dict[str, str]:
        alive = stack.hosts("ingress")
        return {name: host for name, host in stack.journals().items() if host not in alive}

    def differing(found: Callable[[ComposeStack], Badges]) -> int:
        badges = found(stack)
        return sum(badges.get(account) != badge for account, badge in reference.items()) + len(
            badges.keys() - reference
        )

    left = len(strays())
    adopted = seconds_until(lambda: not strays(), timeout=ADOPTION_TIMEOUT_S)
    seconds_until(lambda: not verdict(load.acknowledged, events(stack)).lost, timeout=30)
    on_topic = events(stack)
    judged = verdict(load.acknowledged, on_topic)
    reference = expected(on_topic)
    seconds_until(lambda: differing(badges_in_redis) == 0, timeout=60)
    differ = differing(badges_in_redis)
    seconds_until(lambda: differing(badges_on_topic) == 0, timeout=30)
    differ_on_topic = differing(badges_on_topic)
    too_slow = sum(b"in time" in (one.body or b"") for one in load.refused)  # refused by the bridge, as promised
    missed = len(load.refused) + len(load.unanswered) - too_slow
    slow = load.slow(PLATFORM_WAITS_S)
    log = stack.compose("logs", "--no-log-prefix", "ingress")
    acknowledged = len(load.acknowledged)
    return [
        KeptPromise(
            "every acknowledged callback is on the topic",
            not judged.lost and acknowledged > 0,
            f"{acknowledged} acknowledged, {len(judged.lost)} lost, {judged.duplicates} repeated",
        ),
        KeptPromise("each under one id", not judged.two_ids, f"{len(judged.two_ids)} under two"),
        KeptPromise("the badges in Redis are right", not differ, f"{len(reference)} accounts, {differ} differ"),
        KeptPromise("the badges on im.badges are right", not differ_on_topic, f"{differ_on_topic} differ"),
        KeptPromise(
            f"every reply comes within {PLATFORM_WAITS_S:g} s",
            not slow,
            f"{len(slow)} later; median {load.latency(0.5) * 1000:.0f} ms, 99 % {load.latency(0.99) * 1000:.0f} ms, "
            f"longest {load.latency(1) * 1000:.0f} ms",
        ),
        KeptPromise(
            "a container that is killed costs what it was answering, at most",
            missed <= CONNECTIONS,
            f"{missed} of {len(load.sent)} without OK ({_by_status(load)}) at {CONNECTIONS} connections, "
            f"{damage.refused_in_scaling} of them while scaling in, {too_slow} refused because the machine is slow",
        ),
        KeptPromise(
            f"journals of containers that are gone are adopted within {ADOPTION_TIMEOUT_S:g} s",
            adopted is not None and damage.left_behind > 0,
            f"{damage.left_behind} records were in that of the killed one; {left} files left when the load ended, "
            f"{f'none after {adopted:.0f} s' if adopted is not None else strays()}",
        ),
        KeptPromise(
            "the log names the development token", f"development token {DEV_TOKEN}" in log, "in that of the ingress"
        ),
        *judge_front(stack),
    ]


def judge_front(stack: ComposeStack) -> list[KeptPromise]:
    """What the front does for those that are nobody's platform, and what it says."""
    published = stack.compose("port", "front", "8080").strip()
    unfinished = seconds_until_closed(stack.port, b"POST / HTTP/1.1\r\nHost: front\r\n")
    no_end = seconds_until_closed(stack.port, b"POST / HTTP/1.1\r\nHost: front\r\nContent-Length: 9\r\n\r\n{}")
    refused = seconds_until_closed(stack.port, b"POST / HTTP/1.1\r\nHost: front\r\nContent-Length: 2\r\n\r\n{}")
    log = stack.compose("logs", "--no-log-prefix", "front").splitlines()
    timed = [line for line in log if _TIME.match(line.removeprefix("\x1b[2K"))]
    return [
        KeptPromise("the port is open to this machine alone", published == f"127.0.0.1:{stack.port}", published),
        KeptPromise(
            "who sends no whole request, or is refused, does not keep his connection",
            max(unfinished, no_end, refused) < UNPROVEN_KEPT_S,
            f"closed after {unfinished:.1f} s (no head), {no_end:.1f} s (no body), {refused:.1f} s (refused)",
        ),
        KeptPromise(
            "each line of the front's log has its time",
            bool(log) and len(timed) == len(log),
            f"{len(timed)} of {len(log)} lines",
        ),
    ]


def seconds_until_closed(port: int, request: bytes) -> float:
    """How long the front keeps a connection on which this was sent; no longer than `UNPROVEN_KEPT_S` is waited."""
    with socket.create_connection(("127.0.0.1", port), timeout=UNPROVEN_KEPT_S) as connection:
        connection.sendall(request)
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            while connection.recv(65_536):
                pass
        return time.monotonic() - begun


def _by_status(load: Load) -> str:
    counts: dict[str, int] = {}
    for one in load.refused + load.unanswered:
        status = str(one.status or "connection broken")
        counts[status] = counts.get(status, 0) + 1
    return ", ".join(f"{count} x {status}" for status, count in sorted(counts.items())) or "none"


def main() -> int:
    checks: list[KeptPromise] = []
    failure = ""
    with ComposeStack() as stack:
        try:
            tell(f"project {stack.project}: build, and start with 3 ingresses and 2 workers")
            stack.up(ingress=3, badges=2, build=True)
            tell(f"{RATE_PER_S} callbacks a second over {CONNECTIONS} connections, through the front")
            damage = hurt(stack)
            tell("the load has ended; looking at the topic, the badges and the journals")
            checks = judge(stack, damage)
        except (ComposeError, TimeoutError) as error:
            failure = f"{type(error).__name__}: {error}"
        if not checks or not all(check.kept for check in checks):
            console.print(stack.compose("logs", "--tail=40"), markup=False)
        tell("everything is removed")
    if failure:
        console.print(failure, markup=False)
    for check in checks:
        console.print(f"{'[green]kept  [/]' if check.kept else '[red]BROKEN[/]'}  {check.promise}: {check.seen}")
    kept = bool(checks) and all(check.kept for check in checks)
    console.print(
        "[green]The stack keeps its promises.[/]" if kept else "[red]The stack does not keep its promises.[/]"
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
