"""What others install: the wheel with the locked packages for production, the wheel alone for its events."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from requirements.installers import Installer, Pip, Uv, find_pip
from tests.support.callbacks import recalled
from tests.support.commands import IngressProcess
from tests.support.paths import ROOT
from tests.support.topic import Topics

PACKAGES = ("bridge", "common", "consumers")
PRODUCTION = ROOT / "requirements" / "production.txt"
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
EVENTS = """
import sys
from bridge.events import MessageRecalled, parse_event
event = parse_event(sys.stdin.buffer.read())
assert isinstance(event.data, MessageRecalled)
foreign = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names
print(event.data.to_account, *sorted(name for name in foreign if not name.startswith("_")))
"""
EVENT = b"""{"specversion":"1.0","id":"1","source":"/tencent-im/1","type":"im.c2c.message.recalled","subject":"ann",
"time":"2026-09-21T14:13:20.000Z","datacontenttype":"application/json","dataschema":"urn:x","callbackcommand":
"C2C.CallbackAfterMsgWithDraw","receivedtime":"2026-09-21T14:13:20.000Z","data":
{"from_account":"bob","to_account":"ann","msg_key":"1_2_3","unread_total":7}}"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made from a copy of the tree, which remains as it is."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in [ROOT / name for name in ("pyproject.toml", "README.md", "LICENSE")] + files():
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    subprocess.run([sys.executable, "-c", BUILD, target], cwd=source, capture_output=True, check=True)
    [made] = target.glob("im_bridge-*.whl")
    return made


def files() -> list[Path]:
    """What the packages are made of."""
    found = [path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()]
    return [path for path in found if "__pycache__" not in path.parts]


def environment(folder: Path) -> tuple[Path, Installer]:
    """An empty virtual environment, and what installs into it."""
    venv.create(folder, with_pip=False, symlinks=True)
    python, uv = folder / "bin" / "python", Path(sys.executable).with_name("uv")
    pip = Pip(find_pip(python))
    return python, Uv(uv, python, pip.read_settings()) if uv.exists() else pip


def imported(python: Path | str, folder: Path) -> str:
    """What a subscriber reads of an event, and what other packages it needs for that."""
    command = [python, "-I", "-c", EVENTS]
    return subprocess.run(command, cwd=folder, input=EVENT, capture_output=True, check=True).stdout.decode().strip()


@pytest.mark.slow
def test_the_wheel_has_all_that_the_packages_have_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {str(path.relative_to(ROOT)) for path in files()} <= names
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == set(PACKAGES)


@pytest.mark.slow
def test_with_the_locked_packages_alone_the_wheel_serves_in_production(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python, installer = environment(tmp_path / "a b")
    installer.install("--require-hashes", "-r", str(PRODUCTION))
    installer.install("--no-deps", str(wheel))
    monkeypatch.chdir(tmp_path)
    for name in ("bridge", "consumers"):
        subprocess.run([python.with_name(name), "settings"], stdout=subprocess.DEVNULL, check=True)
    subprocess.run([python, "-I", "-c", "from bridge.contract.samples import samples; assert samples()"], check=True)
    monkeypatch.setattr("tests.support.commands._BIN", python.parent)
    serving = IngressProcess(tmp_path, "127.0.0.1:1", Topics.unique())
    try:
        serving.start_ready()
        assert serving.post(recalled("ann", unread=7)).status == 200
    finally:
        serving.close()


@pytest.mark.slow
def test_a_subscriber_needs_the_wheel_and_msgspec_alone(wheel: Path, tmp_path: Path) -> None:
    python, installer = environment(tmp_path / "venv")
    installer.install("--no-deps", str(wheel), *re.findall(r"^msgspec==\S+", PRODUCTION.read_text(), re.MULTILINE))
    assert imported(python, tmp_path) == "ann bridge msgspec"


def test_the_events_are_read_without_any_other_part_of_the_project(tmp_path: Path) -> None:
    assert {"bridge", "msgspec"} <= set(imported(sys.executable, tmp_path).split()[1:])
    assert not {"aiohttp", "aiokafka", "common", "consumers", "orjson", "pydantic"} & set(
        imported(sys.executable, tmp_path).split()
    )
