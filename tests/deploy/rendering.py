"""Renders the chart with values, as an installation would."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from deploy.helm.generated import CHART
from tests.deploy.tools import HELM, needed

Document: TypeAlias = dict[str, Any]

VALUES = Path(__file__).parent / "values"
MATRIX = sorted(path.stem for path in VALUES.glob("*.yaml"))
RELEASE = "im"
NAMESPACE = "callbacks"
KUBERNETES = "1.33"
"""helm itself, built from its source, takes a cluster to be of version 1.20."""


def render(
    *names: str, values: Mapping[str, Any] | None = None, chart: Path = CHART, kubernetes: str = KUBERNETES
) -> list[Document]:
    """The documents of the chart, hooks included, with files of `values/` by name and further values over them."""
    ended = _helm(*names, values=values, chart=chart, kubernetes=kubernetes)
    assert ended.returncode == 0, ended.stderr
    return [document for document in yaml.safe_load_all(ended.stdout) if document]


def refused(*names: str, values: Mapping[str, Any]) -> str:
    """What helm says to values that it refuses."""
    ended = _helm(*names, values=values, chart=CHART, kubernetes=KUBERNETES)
    assert ended.returncode != 0, "these values are taken"
    return ended.stderr


def lint(name: str) -> subprocess.CompletedProcess[str]:
    """`helm lint --strict`."""
    return run("lint", "--strict", "--kube-version", KUBERNETES, str(CHART), "--values", str(VALUES / f"{name}.yaml"))


def run(*arguments: str, values: str = "") -> subprocess.CompletedProcess[str]:
    """Run helm to its end."""
    return subprocess.run(
        [needed(HELM), *arguments], input=values, capture_output=True, text=True, timeout=120, check=False
    )


def one(documents: list[Document], kind: str, name: str = "") -> Document:
    """The only document of a kind (and name)."""
    (found,) = [each for each in documents if each["kind"] == kind and name in {"", each["metadata"]["name"]}]
    return found


def container(document: Document) -> Document:
    """The only container of the pods of a StatefulSet, Deployment or Job."""
    (only,) = document["spec"]["template"]["spec"]["containers"]
    assert isinstance(only, dict)
    return only


def environment_of(document: Document) -> dict[str, str]:
    """The variables of that container that have a value."""
    return {one["name"]: one["value"] for one in container(document)["env"] if "value" in one}


def _helm(
    *names: str, values: Mapping[str, Any] | None, chart: Path, kubernetes: str
) -> subprocess.CompletedProcess[str]:
    files = [argument for name in names for argument in ("--values", str(VALUES / f"{name}.yaml"))]
    return run(
        *("template", RELEASE, str(chart), "--namespace", NAMESPACE, "--kube-version", kubernetes),
        *files,
        *("--values", "-"),
        values=json.dumps(values or {}),
    )
