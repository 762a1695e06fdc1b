"""What a parent has done once for all that are forked from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.callbacks import recalled

SERVE = """
import asyncio, sys
import bridge.commands.serve, uvloop
from bridge.process import check, supervisor
from bridge.settings import BridgeSettings
from common import logs
from common.kafka import diagnosis
from common.settings import load_settings

from bridge.http.server import listen
from bridge.process.app import Bridge

async def serve(folder, request):
    given = {"apps": {"1400000000": ["token-a"]}, "journal_dir": folder, "kafka_bootstrap_servers": "127.0.0.1:1"}
    bridge = Bridge(BridgeSettings.model_validate(given), admin_socket=folder + "/admin.sock")
    await bridge.start()
    listener = listen("127.0.0.1", 0)
    bridge.accept(listener)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(request)
    print((await reader.readline()).decode().strip())
    await bridge.stop(5)

of_parent = set(sys.modules)
uvloop.run(serve(sys.argv[1], sys.stdin.buffer.read()))
print(sorted(set(sys.modules) - of_parent))
"""


def test_a_child_imports_nothing_of_its_own(tmp_path: Path) -> None:
    """Else it would wait for that, and after an upgrade it would be half of another version."""
    callback = recalled("u", unread=1)
    head = f"POST /{callback.signed()} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(callback.body)}\r\n\r\n"
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(tmp_path)],
        input=head.encode() + callback.body,
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.stdout.decode().splitlines() == ["HTTP/1.1 200 OK", "[]"], done.stderr.decode()
