"""Resolves the dependencies of pyproject.toml into the lock files beside it: `python -m requirements.lock [--upgrade]`.

A version that is locked stays while pyproject.toml allows it, unless `--upgrade` asks for the newest. The files hold
names, versions and hashes for every platform, and no address of an index.
"""

from __future__ import annotations

import os
import sys
import tomllib

from requirements.install import ROOT, environment_of, uv_of
from requirements.installers import InstallError, Pip, find_pip

COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock"),
)


def constraints(*names: str) -> list[str]:
    """What makes uv keep to these lock files."""
    return [argument for name in names for argument in ("-c", f"requirements/{name}.txt")]


def main() -> None:
    """Write every lock file; exit with 1 and a message when one cannot be resolved."""
    environment = ROOT / ".venv"
    os.chdir(ROOT)
    python = environment_of(environment)
    try:
        uv = uv_of(environment, python, Pip(find_pip(python)))
        if uv is None:
            raise InstallError("uv is needed to resolve them")
        build = "\n".join(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"])
        for name, *sources in (
            ("uv", "--group", "uv"),
            ("build", "-", "--no-annotate"),
            ("production", "pyproject.toml"),
            ("embedded", "pyproject.toml", "--extra", "embedded", "-c", "requirements/production.txt"),
            ("traces", "pyproject.toml", "--extra", "traces", "-c", "requirements/production.txt"),
            ("development", "pyproject.toml", "--all-extras", *constraints("embedded", "traces")),
            ("sbom", "--group", "sbom", "-c", "requirements/development.txt"),
        ):
            uv.run(*COMPILE, *sys.argv[1:], *sources, "-o", f"requirements/{name}.txt", stdin=build)
    except InstallError as error:
        raise SystemExit(f"the lock files were not made: {error}") from None


if __name__ == "__main__":
    main()
