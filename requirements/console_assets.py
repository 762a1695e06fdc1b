"""Brings the parts that the page of `bridge console` is made of from npm: `make console-assets`.

`bridge/console/page/vendor/versions.json` says which package in which version and with which hash, and which of its
files under which name. What npm gives is held to the hash; a new version is written there by hand, without `integrity`
and `sha256`, which are filled in then. `--check` asks nobody: it only sees that the files are those of the hashes.

The files are as they were published, but for the names of modules in `import`: browsers look modules up by address.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "bridge" / "console" / "page" / "vendor"
VERSIONS = FOLDER / "versions.json"
LICENCES = FOLDER / "LICENCES.txt"


def main() -> None:
    """Write the files, or with `--check` compare them; exit with 1 and a message when they are not right."""
    packages: dict[str, dict[str, Any]] = json.loads(VERSIONS.read_text("utf-8"))
    if "--check" in sys.argv[1:]:
        if problems := _problems(packages):
            raise SystemExit("\n".join([*problems, "run `make console-assets`"]))
        return
    licences = []
    for name, package in packages.items():
        _tell(f"{name} {package['version']}")
        with tempfile.TemporaryDirectory() as folder:
            archive = _packed(name, package, Path(folder))
            licences.append(f"{name} {package['version']} ({package['licence']})\n\n{_unpack(archive, package)}")
    LICENCES.write_text("\n\n".join(licences), "utf-8")
    VERSIONS.write_text(json.dumps(packages, indent=2) + "\n", "utf-8")


def _problems(packages: dict[str, dict[str, Any]]) -> list[str]:
    expected = {file["as"]: file.get("sha256") for one in packages.values() for file in one["files"]}
    there = {path.name for path in FOLDER.iterdir()} - {VERSIONS.name, LICENCES.name}
    wrong = [f"{FOLDER / name} is of no package in {VERSIONS.name}" for name in there - expected.keys()]
    for name, sha256 in expected.items():
        path = FOLDER / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            wrong.append(f"{path} is not what {VERSIONS.name} says")
    if not LICENCES.is_file():
        wrong.append(f"{LICENCES} is missing")
    return sorted(wrong)


def _packed(name: str, package: dict[str, Any], folder: Path) -> Path:
    """The archive of a package, once it is the one that is meant."""
    command = ["npm", "pack", "--silent", f"{name}@{package['version']}"]
    try:
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"{name} cannot be brought from npm: {error}") from None
    [archive] = folder.glob("*.tgz")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if package.setdefault("integrity", f"sha512-{digest}") != f"sha512-{digest}":
        raise SystemExit(
            f"{name} {package['version']} is not the archive that {VERSIONS.name} names: nothing is written"
        )
    return archive


def _unpack(archive: Path, package: dict[str, Any]) -> str:
    """Write the files of a package that are used; its licence."""
    with tarfile.open(archive) as content:
        for file in package["files"]:
            data = _read(content, file["from"])
            for module, path in file.get("imports", {}).items():
                before = data
                data = data.replace(f'from"{module}"'.encode(), f'from"{path}"'.encode())
                if data == before:
                    raise SystemExit(f"{file['from']} does not import {module} any more: see {VERSIONS}")
            # Nobody has the source maps here.
            data = b"\n".join(line for line in data.split(b"\n") if not line.startswith(b"//# sourceMappingURL="))
            (FOLDER / file["as"]).write_bytes(data)
            file["sha256"] = hashlib.sha256(data).hexdigest()
        return _read(content, package["licence_file"]).decode()


def _read(archive: tarfile.TarFile, path: str) -> bytes:
    found = archive.extractfile(f"package/{path}")
    if found is None:
        raise SystemExit(f"the package has no file {path}")
    return found.read()


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
