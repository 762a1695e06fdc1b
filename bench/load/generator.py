"""The load generator, under way in a process of its own."""

from __future__ import annotations

import subprocess
from typing import Any

import orjson

from bench import toolchains
from bench.cores import OTHERS, pinned
from bench.load import requests


class LoadGenerator:
    """Load on a server, from the construction on: see load/load.c.

    Args:
        port: of the server, on this machine.
        kind: `saturate` or `open`.
        amount: connections, or requests per second.
        seconds: how long requests are sent.
        mix: which callbacks, a key of `requests.MIXES`.
    """

    def __init__(self, port: int, kind: str, amount: float, seconds: float, mix: str = "recalls") -> None:
        program = toolchains.load_generator()
        command = [str(program), str(requests.file(mix)), kind, str(port), str(amount), str(seconds)]
        with pinned(OTHERS):
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE)

    def result(self) -> dict[str, Any]:
        """What it has seen, when it is through. Raises CalledProcessError."""
        output, _ = self.process.communicate()
        if self.process.returncode:
            raise subprocess.CalledProcessError(self.process.returncode, self.process.args)
        result = orjson.loads(output)
        assert isinstance(result, dict)
        return result
