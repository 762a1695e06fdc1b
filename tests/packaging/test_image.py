"""The labels of the image say what pyproject.toml says."""

from __future__ import annotations

import re
import tomllib

from tests.support.paths import ROOT

PREFIX = "org.opencontainers.image."
"""https://github.com/opencontainers/image-spec/blob/main/annotations.md"""


def labels() -> dict[str, str]:
    """Of the last stage, which is the image."""
    last = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    [block] = re.findall(r"^LABEL ((?:.+\\\n)*.+)", last, re.MULTILINE)
    return dict(re.findall(r'([\w.]+)="([^"]*)"', block))


def test_the_image_says_what_it_is_as_the_project_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = labels()
    assert found[f"{PREFIX}title"] == project["name"]
    assert found[f"{PREFIX}description"] == project["description"]
    assert found[f"{PREFIX}version"] == project["version"]
    assert found[f"{PREFIX}licenses"] == project["license"]
    assert found[f"{PREFIX}vendor"] == project["authors"][0]["name"]


def test_what_only_the_builder_knows_is_an_argument_of_the_build() -> None:
    last = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    arguments = set(re.findall(r"^ARG (\w+)", last, re.MULTILINE))
    used = {name for value in labels().values() for name in re.findall(r"\$\{(\w+)\}", value)}
    assert used == {"BASE_IMAGE", "REVISION", "CREATED", "SOURCE"}
    assert used <= arguments
