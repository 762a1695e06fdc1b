"""The files of the chart that come from elsewhere: the schema of its values, and copies of rules and dashboards.

A chart holds all that it needs, so what the project has for Prometheus and Grafana is copied into it.
"""

from __future__ import annotations

from pathlib import Path

from deploy.helm.values_schema import values_schema

DEPLOY = Path(__file__).resolve().parent.parent
CHART = DEPLOY / "helm" / "im-bridge"
RULES = DEPLOY / "prometheus" / "rules.yaml"
DASHBOARDS = DEPLOY / "grafana"


def generated() -> dict[Path, str]:
    """Each file that is generated, with what it should hold."""
    files = {CHART / "values.schema.json": values_schema()}
    if RULES.exists():
        files[CHART / "files" / "rules.yaml"] = RULES.read_text(encoding="utf-8")
    for dashboard in sorted(DASHBOARDS.rglob("*.json")):
        files[CHART / "files" / "dashboards" / dashboard.name] = dashboard.read_text(encoding="utf-8")
    return files


def stale() -> list[Path]:
    """The files that are not as they should be, and those of `files/` that have no origin any more."""
    wanted = generated()
    wrong = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    return wrong + [path for path in _copies() if path not in wanted]


def write() -> None:
    """Make all files as they should be."""
    wanted = generated()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in _copies():
        if path not in wanted:
            path.unlink()


def _copies() -> list[Path]:
    return [path for path in (CHART / "files").rglob("*") if path.is_file()]
