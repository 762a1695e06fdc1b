"""When memory is given back."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.process.freed_memory import BACKLOG_BYTES, DRAINED_BYTES, MIN_INTERVAL_S, FreedMemory


class GivenBack:
    """What gives back at a time that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.times: list[float] = []
        self.memory = FreedMemory(lambda: self.times.append(self.now), lambda: self.now)

    def note(self, *held: int) -> None:
        for one in held:
            self.memory.note(one)


def test_memory_is_given_back_once_for_each_backlog_when_it_has_drained() -> None:
    watched = GivenBack()
    watched.note(0, BACKLOG_BYTES, 50 * BACKLOG_BYTES, BACKLOG_BYTES - 1, DRAINED_BYTES)
    assert not watched.times
    watched.note(DRAINED_BYTES - 1, 0, 0)
    assert watched.times == [1000.0]
    watched.now += MIN_INTERVAL_S
    watched.note(BACKLOG_BYTES, 0, 0)
    assert watched.times == [1000.0, 1000.0 + MIN_INTERVAL_S]


def test_nothing_is_given_back_where_nothing_was_held_for_long() -> None:
    watched = GivenBack()
    watched.note(0, BACKLOG_BYTES - 1, 0, BACKLOG_BYTES - 1, 0)
    assert not watched.times


def test_backlog_upon_backlog_is_given_back_now_and_then_and_the_last_in_the_end() -> None:
    watched = GivenBack()
    watched.note(BACKLOG_BYTES, 0, BACKLOG_BYTES, 0)
    watched.now += MIN_INTERVAL_S - 1
    watched.note(BACKLOG_BYTES, 0)
    assert watched.times == [1000.0]
    watched.now += 1
    watched.note(0)
    assert watched.times == [1000.0, 1000.0 + MIN_INTERVAL_S]


FRAGMENTED = """
import os, threading
from pathlib import Path
from bridge.process.freed_memory import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

lives_on, backlog = [], []
for number in range(40_000):
    (backlog if number % 100 else lives_on).append(bytes(1000))
del backlog
full = resident()
give_back()
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
print(full - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps it, and can be asked to give it back")
def test_what_a_backlog_took_between_things_that_live_on_goes_back_to_the_system() -> None:
    found = subprocess.run([sys.executable, "-c", FRAGMENTED], capture_output=True, text=True, check=True, timeout=60)
    assert int(found.stdout) > 20_000_000  # Of 40 MB.


CACHED = """
import asyncio, ctypes, sys
from pathlib import Path
from bridge.journal.files import JournalFiles
from bridge.journal.budget import DiskBudget
from bridge.journal.record import Record, pack
from bridge.journal.store import Row
from bridge.journal.writer import JournalWriter

class Allocated(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ord sm hblks hblkhd usm fsm uord ford keep".split()]

mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Allocated

async def main():
    writer = JournalWriter(asyncio.get_running_loop(), on_synced=print, on_failed=print)
    writer.start()
    ignored = dict(on_inherited=print, on_writable=lambda: None, has_unwritten=lambda: False, adopt_interval_s=60)
    files = JournalFiles(Path(sys.argv[1]), budget=DiskBudget(10**9), writer=writer, **ignored)
    await files.start()
    packed = pack([Record("t", b"k", b"v" * 1000, [], 5)])
    for seq in range(1, 5001):
        writer.write(files.current.store, lambda seq=seq: [Row(seq, "t", 1, 1000, packed)])
    await writer.call(lambda: None)
    full = mallinfo2().uord
    files.free_caches(lambda: print(full - mallinfo2().uord, flush=True))
    await writer.call(lambda: None)
    await writer.call(lambda: None)

asyncio.run(main())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc tells what is allocated")
def test_what_the_journals_have_in_their_caches_is_forgotten_before_memory_goes_back(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CACHED, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert int(found.stdout) > 1_000_000, found.stderr  # Of 2 MiB, which SQLite keeps of each file.
