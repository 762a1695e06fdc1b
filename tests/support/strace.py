"""System calls of a process that fail, or take long, from outside the program."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import wait_until

DETACH_TIMEOUT_S = 10.0


def is_installed() -> bool:
    """Whether it can be done here."""
    return shutil.which("strace") is not None


@contextmanager
def injected(pids: Sequence[int], calls: str, effect: str, *, only: Sequence[Path] = ()) -> Iterator[None]:
    """Within the block, system calls of these processes, and of their threads, have an effect.

    Args:
        pids: who. Those that end are no error.
        calls: which, `fdatasync,fsync`.
        effect: as strace has it, `error=EIO` or `delay_exit=300000` (microseconds).
        only: the paths that they must be about; none: any.

    Raises:
        TimeoutError: strace does not attach.
    """
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:{effect}"]
    paths = [argument for path in only for argument in ("-P", str(path))]
    attach = [argument for pid in pids for argument in ("-p", str(pid))]
    with subprocess.Popen([*command, *paths, *attach], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
        try:
            wait_until(
                lambda: tracer.poll() is not None or all(map(_is_traced, pids)), timeout=20, what="strace to attach"
            )
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            try:
                tracer.wait(DETACH_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                tracer.kill()  # It waits for a thread of a process that was killed, and keeps others from reaping it.


def _is_traced(pid: int) -> bool:
    try:
        return all("TracerPid:\t0" not in (task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return True  # It has ended.
