"""`python -m bench.mirror`: what it would cost to have a second machine keep what waits for Kafka. Nothing uses it.

A prototype for docs/design/mirror.md. Records come as on a bridge whose Kafka is away, gather for two milliseconds, and
are kept in one of these ways before they count as acknowledged:

* `disk`: appended to a file and synced, all that wait by one sync, as the journal does.
* `peer's memory`: sent over one TCP connection to another process, which answers when it has them.
* `peer's disk`: the same, and the other one answers when it has synced them.
* `disk and peer's disk`: both at once; the slower one decides.

The peer runs on this machine, so there is no network between them: its round trip comes on top of what is measured.
"""

from __future__ import annotations

import asyncio
import os
import random
import resource
import struct
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

RECORD_BYTES = 760
GATHER_S = 0.002
RATES = (300, 2000, 8000)
LENGTH = struct.Struct(">I")
SYNCED = b"!"

Keep = Callable[[bytes], Awaitable[None]]


class KeepingCost(NamedTuple):
    """What a way of keeping took."""

    p50_ms: float
    p99_ms: float
    own_us: float
    """CPU of our process, per record."""
    peer_us: float
    """CPU of the other process, per record."""


class GroupFile:
    """A file to which groups are appended, all that wait by one sync."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._syncing: asyncio.Task[None] | None = None

    async def keep(self, group: bytes) -> None:
        """Append a group, and wait until it is on disk."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((group, done))
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.create_task(self._sync())
        await done

    async def _sync(self) -> None:
        while self._waiting:
            groups, self._waiting = self._waiting, []
            await asyncio.to_thread(self._write, b"".join(group for group, _ in groups))
            for _, done in groups:
                done.set_result(None)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        os.fdatasync(self._file.fileno())


class Peer:
    """The connection to the other process. It answers in the order in which groups are sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._waiting: asyncio.Queue[asyncio.Future[None]] = asyncio.Queue()
        self._reading = asyncio.create_task(self._read(reader))

    async def keep(self, group: bytes) -> None:
        """Send a group, and wait until the other one says that it has it."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait(done)
        self._writer.write(LENGTH.pack(len(group)) + group)
        await done

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while await reader.read(1):
            self._waiting.get_nowait().set_result(None)


async def serve(folder: Path, *, syncs: bool) -> None:
    """The other process: keeps what comes, and answers each group with one byte."""
    file = GroupFile(folder / "mirror")

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.TaskGroup() as groups:
            try:
                while True:
                    (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                    group = await reader.readexactly(length)
                    if syncs:
                        groups.create_task(answer(writer, group))
                    else:
                        writer.write(SYNCED)
            except asyncio.IncompleteReadError:
                writer.close()

    async def answer(writer: asyncio.StreamWriter, group: bytes) -> None:
        await file.keep(group)  # One file and one sync at a time: they end in their order.
        writer.write(SYNCED)

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


async def measure(keep: Keep, rate: float, seconds: float, peer_pid: int | None) -> KeepingCost:
    """Have records come at this rate, and keep them."""
    chance = random.Random(1)
    loop = asyncio.get_running_loop()
    took: list[float] = []
    tasks: set[asyncio.Task[None]] = set()
    began = due = loop.time()
    before = (own_cpu(), cpu_of(peer_pid))

    async def acknowledge(arrivals: list[float]) -> None:
        await keep(os.urandom(16) * (RECORD_BYTES * len(arrivals) // 16))
        now = loop.time()
        took.extend(now - arrival for arrival in arrivals)

    while due < began + seconds:
        await asyncio.sleep(max(0.0, due + GATHER_S - loop.time()))
        arrivals = []
        while due <= loop.time():
            arrivals.append(due)
            due += chance.expovariate(rate)
        if arrivals:
            task = asyncio.create_task(acknowledge(arrivals))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
    while tasks:
        await asyncio.wait(tasks)
    took.sort()
    own, peer = own_cpu() - before[0], cpu_of(peer_pid) - before[1]
    p50, p99 = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99))
    return KeepingCost(p50, p99, own / len(took) * 1e6, peer / len(took) * 1e6)


def own_cpu() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_of(pid: int | None) -> float:
    """CPU seconds of a process, all its threads; 0 for none."""
    if pid is None:
        return 0.0
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


async def compare(folder: Path, seconds: float, rate: float) -> dict[str, KeepingCost]:
    """All ways, one after the other."""
    found = {}
    file = GroupFile(folder / "own")
    found["disk"] = await measure(file.keep, rate, seconds, None)
    for name, syncs in (("peer's memory", False), ("peer's disk", True)):
        arguments = ["-m", "bench.mirror", "--serve", str(folder), *(["--syncs"] if syncs else [])]
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
        try:
            assert process.stdout is not None
            port = int(await process.stdout.readline())
            peer = Peer(*await asyncio.open_connection("127.0.0.1", port))
            found[name] = await measure(peer.keep, rate, seconds, process.pid)
            if syncs:

                async def both(group: bytes, peer: Peer = peer) -> None:
                    await asyncio.gather(file.keep(group), peer.keep(group))

                found["disk and peer's disk"] = await measure(both, rate, seconds, process.pid)
        finally:
            process.kill()
            await process.wait()
    return found


def main(
    *,
    seconds: Annotated[float, typer.Option(help="How long each way is measured.")] = 5.0,
    rounds: Annotated[int, typer.Option(help="How often; the table has the medians.")] = 3,
    where: Annotated[Path | None, typer.Option("--serve", help="Be the other process, with its file there.")] = None,
    syncs: Annotated[bool, typer.Option("--syncs", help="As the other process: answer when the disk has it.")] = False,
) -> None:
    """Measure and print."""
    if where is not None:
        asyncio.run(serve(where, syncs=syncs))
        return
    console = Console(width=140)
    table = Table("records/s", "kept by", "p50 ms", "p99 ms", "CPU us per record, own", "peer's")
    for rate in RATES:
        with tempfile.TemporaryDirectory(prefix="im-bridge-mirror-", dir=Path.cwd()) as name:
            runs = [asyncio.run(compare(Path(name), seconds, rate)) for _ in range(rounds)]
        for way in runs[0]:
            columns = zip(*(run[way] for run in runs), strict=True)
            table.add_row(f"{rate:,}", way, *(f"{sorted(column)[rounds // 2]:.2f}" for column in columns))
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
