"""What production consists of is told as the lock file has it, with no address of an index."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from requirements.installers import Pip, find_pip
from requirements.locked import NotLockedError, locked_packages
from tests.support.paths import ROOT

PRODUCTION = ROOT / "requirements" / "production.txt"
SBOM = ROOT / "requirements" / "sbom.txt"
HASH = "0" * 64


def test_every_locked_package_is_read_with_its_hashes_and_who_needs_it() -> None:
    text = PRODUCTION.read_text()
    packages = list(locked_packages(text))
    assert len(packages) == len(re.findall(r"^[A-Za-z0-9].*==", text, re.MULTILINE)) > 20
    assert sum(len(package.hashes) for package in packages) == text.count("--hash=")
    by_name = {package.name: package for package in packages}
    assert "im-bridge" in by_name["aiohttp"].needed_by
    assert set(by_name["aiosignal"].needed_by) == {"aiohttp"}
    assert {need for package in packages for need in package.needed_by} <= {*by_name, "im-bridge"}


def test_a_package_with_a_marker_has_the_version_alone() -> None:
    line = (
        f"six==1.17.0 ; python_version < '3' \\\n    --hash=sha256:{HASH}\n    # via\n    #   one\n    #   the-other\n"
    )
    [package] = locked_packages("# written\n" + line)
    assert (package.name, package.version, package.needed_by) == ("six", "1.17.0", ("one", "the-other"))


@pytest.mark.parametrize(
    "line", ["six==1.17.0\n    # via one\n", f"six>=1 \\\n    --hash=sha256:{HASH}\n    # via one\n"]
)
def test_what_is_not_locked_is_refused(line: str) -> None:
    with pytest.raises(NotLockedError, match="run make lock"):
        list(locked_packages(line))


@pytest.mark.slow
def test_the_document_is_whole_valid_and_the_same_each_time(tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    Pip(find_pip(python)).install("--require-hashes", "-r", str(SBOM))
    made = [tmp_path / "one.cdx.json", tmp_path / "two.cdx.json"]
    for target in made:
        env = {**os.environ, "PIP_INDEX_URL": "https://s3cret@mirror.example/simple"}
        subprocess.run([python, "-m", "requirements.sbom", target], cwd=ROOT, env=env, check=True, stdout=sys.stderr)
    assert made[0].read_bytes() == made[1].read_bytes()
    text = made[0].read_text()
    assert "mirror.example" not in text
    assert not re.search(r"https?://(?!cyclonedx\.org/schema)", text)
    document = json.loads(text)
    locked = {(package.name, package.version) for package in locked_packages(PRODUCTION.read_text())}
    assert {(part["name"], part["version"]) for part in document["components"]} == locked
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in document["dependencies"]}
    reached, waiting = set[str](), ["im-bridge"]
    while waiting:
        reached.add(one := waiting.pop())
        waiting += set(needs[one]) - reached
    assert reached == needs.keys(), "everything is there for a reason"
