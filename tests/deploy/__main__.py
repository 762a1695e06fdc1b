"""Brings what the tests of the chart need, and runs them: `make chart-test`; arguments are those of pytest."""

from __future__ import annotations

import os
import sys
import time

import pytest

from tests.deploy import tools


def main() -> None:
    """End with the status of pytest, or with 1 where a tool cannot be brought."""
    began = time.monotonic()
    try:
        tools.install()
    except tools.ToolError as error:
        raise SystemExit(f"chart-test: {error}") from None
    sys.stdout.write(f"chart-test: helm and models are here after {time.monotonic() - began:.0f} s\n")
    sys.stdout.flush()
    os.environ[tools.REQUIRED] = "1"
    # Options alone, such as -x, are about these tests, and not about all that there are.
    raise SystemExit(pytest.main(["--override-ini", "testpaths=tests/deploy", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
