"""Looks at the page in a real browser: `make console-test`; arguments are those of pytest.

With `--pictures` the screenshots of the documentation are made anew.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import pytest

from tests.console.browser import MEANT, PICTURES, chromium

FOLDER = "tests/console/browser"


def main() -> None:
    """End with the status of pytest; where there is no browser with 0, or with 1 in CI."""
    arguments = sys.argv[1:]
    missing = what_is_missing()
    if missing:
        sys.stdout.write(f"console-test: skipped, for {missing}\n")
        raise SystemExit(1 if os.environ.get("CI") else 0)
    if "--pictures" in arguments:
        arguments.remove("--pictures")
        os.environ[PICTURES] = "1"
    os.environ[MEANT] = "1"
    # Options alone, such as -x, are about these tests, and not about all that there are.
    raise SystemExit(pytest.main(["--override-ini", f"testpaths={FOLDER}", *arguments]))


def what_is_missing() -> str:
    """Why no browser can be driven here; empty where one can."""
    if chromium() is None:
        return "there is no Chromium: install Debian's packages chromium and fonts-wqy-microhei"
    return "" if find_spec("playwright") else "there is no playwright: make console-test installs it"


if __name__ == "__main__":
    main()
