"""How `make setup` installs: what uv is told of pip's settings, and what there is where a piece is missing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from requirements import install, installers
from requirements.installers import InstallError, Pip, PipCommand, Uv, find_pip, pip_settings, uv_variables
from tests.support.paths import ROOT

PRINTED = """\
:env:.extra-index-url='https://extra/simple\\nhttps://other/simple'
:env:.timeout='7'
global.cert='/etc/ca.pem'
global.index-url='https://global/simple'
global.trusted-host='a b'
install.index-url='https://install/simple'
download.index-url='https://download/simple'
"""


def test_the_settings_of_pip_that_count_for_an_installation_are_found() -> None:
    assert pip_settings(PRINTED) == {
        "cert": "/etc/ca.pem",
        "extra-index-url": "https://extra/simple\nhttps://other/simple",
        "index-url": "https://install/simple",
        "timeout": "7",
        "trusted-host": "a b",
    }
    assert pip_settings("") == {}
    assert pip_settings("WARNING: The directory is not owned = or not\n") == {}


def test_a_mirror_that_is_set_for_pip_is_used_by_uv() -> None:
    variables = uv_variables(pip_settings(PRINTED))
    assert variables == {
        "UV_DEFAULT_INDEX": "https://install/simple",
        "UV_INDEX": "https://extra/simple https://other/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_INSECURE_HOST": "a b",
        "UV_HTTP_TIMEOUT": "7",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }
    assert uv_variables({}) == {}
    assert uv_variables({"no-index": "true"}) == {"UV_NO_INDEX": "1"}
    assert uv_variables({"no-index": "false"}) == {}


def test_pip_tells_its_variables_and_files_as_we_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured = tmp_path / "pip.conf"
    configured.write_text("[global]\nindex-url = https://mirror/simple\ntrusted-host =\n  a\n  b\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configured))
    monkeypatch.setenv("PIP_RETRIES", "1")
    printed, _ = Pip(find_pip(Path(sys.executable))).read_settings().communicate()
    settings = pip_settings(printed)
    assert (settings["index-url"], settings["retries"]) == ("https://mirror/simple", "1")
    assert uv_variables(settings)["UV_INSECURE_HOST"] == "a b"


def test_a_python_that_brings_no_pip_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installers, "_bundled", list)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(InstallError, match="apt install python3-venv"):
        find_pip(Path("/nowhere/bin/python"))


def test_without_a_home_to_write_to_downloads_are_kept_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home" / ".cache"))
    assert installers._cache_folder(python) == {}
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert installers._cache_folder(python) == {"UV_CACHE_DIR": str(tmp_path / ".cache" / "uv")}


def test_a_failure_shows_what_the_installer_printed(tmp_path: Path) -> None:
    program = tmp_path / "uv"
    program.write_text("#!/bin/sh\necho 'error: no route to the index' >&2\nexit 2\n")
    program.chmod(0o755)
    quiet = PipCommand([sys.executable, "-c", ""], {})
    with pytest.raises(InstallError, match="no route to the index"):
        Uv(program, tmp_path / "bin" / "python", Pip(quiet).read_settings()).install("x")
    loud = PipCommand([sys.executable, "-c", "raise SystemExit('no matching distribution')"], {})
    with pytest.raises(InstallError, match="no matching distribution"):
        Pip(loud).install("x")


def test_where_uv_fails_pip_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[str, ...]] = []

    class FailingUv:
        name = "uv"

        def install(self, *arguments: str) -> None:
            raise InstallError("no route")

    monkeypatch.setattr(install, "environment_of", lambda environment: environment / "bin" / "python")
    monkeypatch.setattr(install, "find_pip", lambda python: PipCommand([], {}))
    monkeypatch.setattr(install, "uv_of", lambda *_: FailingUv())
    monkeypatch.setattr(Pip, "install", lambda _pip, *arguments: ran.append(arguments))
    install._install(tmp_path, [ROOT / "requirements" / "embedded.txt"])
    assert ran == [
        ("--require-hashes", "-r", str(ROOT / "requirements" / "embedded.txt")),
        ("--no-deps", "--no-build-isolation", "--editable", str(ROOT)),
    ]
    assert "uv failed, so pip tries" in capsys.readouterr().out


def test_what_is_newer_than_its_lock_files_is_left_alone(tmp_path: Path) -> None:
    stamp, lock_file = tmp_path / "stamp", tmp_path / "lock.txt"
    lock_file.touch()
    assert not install._is_current(stamp, [lock_file])
    stamp.touch()
    os.utime(lock_file, (0, 0))
    assert install._is_current(stamp, [lock_file])
    os.utime(stamp, (-1, -1))
    assert not install._is_current(stamp, [lock_file])


def test_the_lock_files_name_no_index_and_a_hash_for_everything() -> None:
    files = sorted((ROOT / "requirements").glob("*.txt"))
    assert {file.stem for file in files} == {"build", "development", "embedded", "production", "sbom", "traces", "uv"}
    for file in files:
        text = file.read_text()
        assert "://" not in text
        pinned = [line for line in text.splitlines() if line[:1].isalnum()]
        assert pinned
        assert all("==" in line and line.endswith("\\") for line in pinned), file
        assert text.count("--hash=sha256:") >= len(pinned)


def test_the_lock_files_agree() -> None:
    def versions(name: str) -> set[str]:
        lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
        return {line.split()[0] for line in lines if "==" in line}

    assert versions("production") < versions("embedded") < versions("development")
    assert versions("build") < versions("development")
