"""What TLS costs: CPU of the serving process per callback on connections that are kept, and per handshake.

The load generator of the other figures speaks no TLS, so this has a small one of its own. It is on the other core, and
what is counted is the time that the serving process was on a processor, the kernel's work for it included. Both
ingresses run at once and have their turns one after the other, so that whatever else the machine does meets both.
"""

from __future__ import annotations

import socket
import ssl
import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from bench.cores import OTHERS, SERVER, cpu_seconds, pinned
from bench.kafkas import Kafka
from bench.load.lockstep import REPLY_S, ask_round
from bench.rows import BRIDGE, ROWS, Running
from tests.support.certificates import CertificateFolder

CONNECTIONS = 64
WARM_UP_ROUNDS = 10
HANDSHAKES = 200
HOST = "localhost"


class Cost(msgspec.Struct):
    """Of one way to connect: medians over all turns, in microseconds of CPU."""

    per_callback_us: float
    per_connection_us: float
    """A connection with its handshake and one callback."""


def measure(folder: Path, kafka: Kafka, *, turns: int, rounds: int) -> dict[str, Cost]:
    """`plain` and `TLS`.

    Args:
        folder: for logs, journals, certificates.
        kafka: where events go.
        turns: how often each is measured.
        rounds: in each turn, how many callbacks each connection brings.
    """
    (folder / "tls").mkdir()
    certificates = CertificateFolder(folder / "tls")
    certificates.write("a", HOST)
    ways: dict[str, ssl.SSLContext | None] = {"plain": None, "TLS": certificates.client()}
    (bridge,) = (row for row in ROWS if row.name == BRIDGE)
    with ExitStack() as stack:
        servers = {}
        for way, context in ways.items():
            with pinned(SERVER):
                servers[way] = bridge.start(folder, kafka, settings=certificates.settings("a") if context else None)
            stack.callback(servers[way].process.close)
        stack.enter_context(pinned(OTHERS))
        callbacks: dict[str, list[float]] = {way: [] for way in ways}
        handshakes: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(turns):
            for way, context in ways.items():
                callbacks[way].append(_of_callbacks(servers[way], context, rounds))
                handshakes[way].append(_of_connections(servers[way], context))
    return {way: Cost(statistics.median(callbacks[way]), statistics.median(handshakes[way])) for way in ways}


def _of_callbacks(server: Running, context: ssl.SSLContext | None, rounds: int) -> float:
    with _connections(server.port, context, CONNECTIONS) as opened:
        for _ in range(WARM_UP_ROUNDS):
            ask_round(opened)
        before = _cpu_us(server)
        for _ in range(rounds):
            ask_round(opened)
        return (_cpu_us(server) - before) / (rounds * len(opened))


def _of_connections(server: Running, context: ssl.SSLContext | None) -> float:
    before = _cpu_us(server)
    for _ in range(HANDSHAKES):
        with _connections(server.port, context, 1) as opened:
            ask_round(opened)
    return (_cpu_us(server) - before) / HANDSHAKES


@contextmanager
def _connections(port: int, context: ssl.SSLContext | None, count: int) -> Iterator[Sequence[socket.socket]]:
    with ExitStack() as stack:
        opened = []
        for _ in range(count):
            plain = stack.enter_context(socket.create_connection(("127.0.0.1", port), REPLY_S))
            opened.append(context.wrap_socket(plain, server_hostname=HOST) if context else plain)
            stack.callback(opened[-1].close)
        yield opened


def _cpu_us(server: Running) -> float:
    return cpu_seconds([server.pid]) * 1e6
