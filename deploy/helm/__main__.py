"""Makes the generated files of the chart: `python -m deploy.helm`; with `--check` it says which are out of date."""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.helm.generated import stale, write


def main() -> None:
    """Write the files, or exit with 1 where `--check` finds one that is not as it would be written."""
    if sys.argv[1:] == ["--check"]:
        if found := stale():
            names = ", ".join(str(path.relative_to(Path.cwd())) for path in found)
            raise SystemExit(f"not up to date: {names}. Run: make chart")
        return
    if sys.argv[1:]:
        raise SystemExit("usage: python -m deploy.helm [--check]")
    write()


if __name__ == "__main__":
    main()
