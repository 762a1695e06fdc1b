"""Writes what is made of the declarations of metrics: `python -m deploy [--check]`.

With `--check` nothing is written, and the exit status is 1 where a file is stale.
"""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.grafana.dashboard import dashboard_json
from deploy.metrics_page import metrics_page

ROOT = Path(__file__).parents[1]
MADE = {"docs/metrics.md": metrics_page, "deploy/grafana/im-bridge.json": dashboard_json}
"""Path → what makes its content."""


def stale() -> dict[Path, str]:
    """What the files that are not as they should be have to hold."""
    found = {}
    for name, make in MADE.items():
        path, text = ROOT / name, make()
        if not path.exists() or path.read_text("utf-8") != text:
            found[path] = text
    return found


def main() -> None:
    """Write them, or check them."""
    check = "--check" in sys.argv[1:]
    found = stale()
    for path, text in found.items():
        if not check:
            path.write_text(text, "utf-8")
        print(f"{'stale, run make metrics' if check else 'written'}: {path.relative_to(ROOT)}")  # noqa: T201
    if check and found:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
