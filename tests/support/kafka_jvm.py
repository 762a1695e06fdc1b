"""Apache Kafka from its Maven artifacts: downloaded once, then started as a plain JVM process.

The cache folder (`.cache/kafka-VERSION`, or the same under IM_BRIDGE_CACHE) appears by one rename when it is complete;
two test runs at the same time take turns by a file lock.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

from tests.support.paths import ROOT, TESTS
from tests.support.process import Process
from tests.support.topic import serves

_SOURCE = TESTS / "kafka"
_POM = _SOURCE / "pom.xml"
VERSION = ElementTree.parse(_POM).findtext("{http://maven.apache.org/POM/4.0.0}version") or ""
_CACHE = Path(os.environ.get("IM_BRIDGE_CACHE") or ROOT / ".cache")
_HOME = _CACHE / f"kafka-{VERSION}"
CLUSTER = "aW0tYnJpZGdlLXRlc3RzLg"  # any 16 bytes


def missing() -> str | None:
    """What this machine lacks to run Kafka on the JVM, None when nothing."""
    if _java_version() < 17:
        return "no java of version 17 or newer"
    if not _HOME.exists() and not shutil.which("mvn"):
        return f"no mvn to download Kafka {VERSION} with"
    return None


def install(properties: Mapping[str, str], port: int) -> None:
    """Have the jars, an empty formatted data folder, and an archive of loaded classes in the cache.

    `properties` are those of a broker whose PLAINTEXT listener is `port`; one is started, once, to make the archive.
    Raises RuntimeError with Maven's message when the download fails.
    """
    with _lock():
        if not _HOME.exists():
            partial = Path(tempfile.mkdtemp(dir=_CACHE, prefix="partial-"))
            try:
                _download(partial)
                _format(partial, properties)
                partial.rename(_HOME)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        if not _archive().exists():
            _record_classes(properties, port)


def broker_process(folder: Path, properties: Mapping[str, str], *flags: str) -> Process:
    """A broker on the data in `folder`, which is made if there is none."""
    data = folder / "data"
    if not data.exists():
        shutil.copytree(formatted(), data)
    config = _write(folder, properties, data)
    classes = flags or ((f"-XX:SharedArchiveFile={_archive()}",) if _archive().exists() else ())
    return Process([*_java(_HOME, *classes), "kafka.Kafka", config], log=folder / "broker.log")


def formatted() -> Path:
    """The formatted data folder that brokers start from: a copy for each."""
    return _HOME / "formatted"


@contextmanager
def _lock() -> Iterator[None]:
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / f"kafka-{VERSION}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download(home: Path) -> None:
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={home / 'lib'}", "-DincludeScope=runtime"]
    _run(["mvn", "-B", "-ntp", "-q", "-f", str(_POM), *goal])


def _format(home: Path, properties: Mapping[str, str]) -> None:
    """Once for all brokers: formatting takes as long as a start, and an empty folder may be copied."""
    config = _write(home, properties, home / "formatted")
    _run([*_java(home), "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(config)])
    config.unlink()


def _record_classes(properties: Mapping[str, str], port: int) -> None:
    """Let one broker start and stop, and keep what its JVM loaded: each later start takes 1 s instead of 1.6."""
    with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
        archive = Path(folder) / "classes"
        with broker_process(Path(folder), properties, f"-XX:ArchiveClassesAtExit={archive}") as broker:
            broker.wait_for(lambda: serves(f"127.0.0.1:{port}"), timeout=60, what="the first start")
            broker.terminate(60)
        if archive.exists():
            archive.replace(_archive())


def _write(folder: Path, properties: Mapping[str, str], data: Path) -> Path:
    config = folder / "server.properties"
    config.write_text("".join(f"{name}={value}\n" for name, value in {**properties, "log.dirs": data}.items()))
    return config


def _java(home: Path, *flags: str) -> list[str]:
    jars = os.pathsep.join(str(jar) for jar in sorted((home / "lib").iterdir()))
    logging = f"-Dlog4j2.configurationFile={_SOURCE / 'log4j2.properties'}"
    return [_java_binary(), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", *flags, logging, "-cp", jars]


def _archive() -> Path:
    return _HOME / f"classes-{_java_version()}.jsa"


def _java_binary() -> str:
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"


@cache
def _java_version() -> int:
    """The major version, 0 where there is no Java."""
    try:
        told = subprocess.run([_java_binary(), "-version"], capture_output=True, text=True, check=False).stderr
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else 0


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {(done.stdout + done.stderr).strip()[-2000:]}")
