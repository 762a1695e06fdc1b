"""Reads an hour of the archive in a process of its own, and says what it took: `python -m … HOUR` prints JSON.

Settings come from the environment.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path

from consumers.archive.archive import open_archive
from consumers.archive.hour import Hour
from consumers.settings import ConsumersSettings
from tests.support.im_platform import APP_ID


def memory_kib(name: str) -> int:
    """`VmRSS`, what is in memory now, or `VmHWM`, the most that ever was."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


async def read(hour: Hour) -> dict[str, float]:
    """Download, check and read it."""
    settings = ConsumersSettings.model_validate({})
    before, begun = memory_kib("VmRSS"), time.monotonic()
    async with open_archive(settings, APP_ID) as archive, archive.hour(hour, "c2c") as archived:
        there, worked_s = time.monotonic(), time.process_time()
        last = -1
        in_order = True
        async for batch in archived.batches():
            for message in batch:
                in_order &= message.seq == last + 1
                last = message.seq
        return {
            "messages": archived.report.messages,
            "in_order": in_order,
            "got_s": there - begun,
            "read_s": time.monotonic() - there,
            "read_cpu_s": time.process_time() - worked_s,
            "before_kib": before,
            "most_kib": memory_kib("VmHWM"),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(read(Hour.parse(sys.argv[1])))))  # noqa: T201
