"""Writes what a production installation consists of, as a CycloneDX document: `python -m requirements.sbom FILE`.

All of it is from pyproject.toml and `requirements/production.txt`: names, versions, the hashes of the files that may be
installed, which package needs which. It holds no address of an index, and is the same for the same lock file.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from requirements.install import ROOT
from requirements.locked import LockedPackage, NotLockedError, locked_packages

LOCK = ROOT / "requirements" / "production.txt"
PROJECT = ROOT / "pyproject.toml"


def document(lock: str, project: dict[str, Any]) -> str:
    """The document, as JSON.

    Args:
        lock: the lock file.
        project: the table `project` of pyproject.toml.

    Raises:
        NotLockedError: the lock file is not as it should be.
    """
    packages = list(locked_packages(lock))
    root = Component(
        name=project["name"],
        version=project["version"],
        description=project["description"],
        type=ComponentType.APPLICATION,
        licenses=[DisjunctiveLicense(id=project["license"])],
        bom_ref=project["name"],
    )
    components = {package.name: _component(package) for package in packages}
    bom = Bom(components=components.values())
    bom.metadata.component = root
    for needing in (root, *components.values()):
        needed = [components[package.name] for package in packages if needing.name in package.needed_by]
        bom.register_dependency(needing, needed)
    made = json.loads(JsonV1Dot6(bom).output_as_string())
    del made["serialNumber"], made["metadata"]["timestamp"]
    return json.dumps(made, indent=2) + "\n"


def _component(package: LockedPackage) -> Component:
    purl = PackageURL("pypi", name=package.name, version=package.version)
    files = ExternalReference(
        type=ExternalReferenceType.DISTRIBUTION,
        url=XsUri(purl.to_string()),
        comment="one of these files",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content) for content in package.hashes],
    )
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=f"{package.name}@{package.version}",
        external_references=[files],
    )


def main() -> None:
    """Write the document; exit with 1 and a message where the lock file or the document is wrong."""
    target = Path(sys.argv[1])
    try:
        made = document(LOCK.read_text("utf-8"), tomllib.loads(PROJECT.read_text("utf-8"))["project"])
    except NotLockedError as error:
        raise SystemExit(f"no SBOM was made: {error}") from None
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(made):
        raise SystemExit(f"no SBOM was made, it would be wrong: {problem}")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(made, "utf-8")
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main()
