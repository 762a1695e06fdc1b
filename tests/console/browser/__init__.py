"""Tests of the page in a real browser; `python -m tests.console` runs them."""

import shutil

MEANT = "CONSOLE_BROWSER"
"""The variable without which these tests are not looked for: a browser's event loop bears no other tests beside it."""
PICTURES = "CONSOLE_PICTURES"
"""The variable with which the screenshots of the documentation are made anew."""


def chromium() -> str | None:
    """Path of the Chromium of this machine; None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
