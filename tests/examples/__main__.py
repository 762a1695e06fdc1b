"""Runs each subscriber of examples/ whose toolchain is here on a real topic, and says which could not be run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.support.broker import Broker, NoBrokerError
from tests.support.callbacks import PostedCallback, read, recalled, sent
from tests.support.commands import IngressProcess
from tests.support.paths import ROOT
from tests.support.topic import Topics, create_topic, wait_for_events

EXAMPLES = ROOT / "examples"
ACCOUNT = "@RBT#Jonh Ü:/%"  # Accounts may hold nearly anything.
TIME_MS = 1_557_481_126_123
TIME = "2019-05-10T09:38:46.123Z"
LIMIT_S = 120
console = Console(highlight=False)


@dataclass(frozen=True)
class Example:
    """A subscriber. `tools` are what it needs on the PATH, `prepare` runs before it in a copy of its folder."""

    name: str
    folder: str
    command: Sequence[str]
    tools: Sequence[str] = ()
    prepare: Sequence[str] = ()

    @property
    def missing(self) -> list[str]:
        """The tools that are not here."""
        return [tool for tool in self.tools if not shutil.which(tool)]


FOUND = [
    Example("kcat", ".", ["./recalls_kcat.sh"], ["kcat", "jq"]),
    Example("Python, aiokafka", ".", [sys.executable, "recalls_aiokafka.py"]),
    Example("Python, confluent-kafka", ".", [sys.executable, "recalls_confluent.py"]),
    Example(
        "Node, kafkajs",
        "node",
        ["node", "recalls.js"],
        ["node", "npm"],
        ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"],
    ),
    Example(
        "Java, kafka-clients",
        "java",
        ["java", "-cp", f"target/classes{os.pathsep}target/lib/*", "Recalls"],
        ["java", "mvn"],
        ["mvn", "-B", "-ntp", "-q", "compile", "dependency:copy-dependencies", "-DoutputDirectory=target/lib"],
    ),
]


class CannotRunError(Exception):
    """An example could not be run here; the message says why."""


def main() -> int:
    """Run all; the exit status."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            broker = Broker(Path(folder) / "broker")
        except NoBrokerError as error:
            console.print(f"no example was run, for want of a real Kafka: {error}", style="yellow")
            return 0
        with broker:
            topic, expected = _fill(broker, Path(folder))
            for example in FOUND:
                try:
                    printed = _run(example, broker.bootstrap, topic, len(expected), Path(folder))
                except CannotRunError as error:
                    console.print(f"not run  {example.name}: {error}", style="yellow", markup=False)
                    continue
                is_right = printed == expected
                failed += not is_right
                console.print(f"{'passed' if is_right else 'FAILED':8} {example.name}", markup=False)
                if not is_right:
                    console.print(f"expected {expected}\nprinted  {printed}", markup=False)
    return 1 if failed else 0


def _fill(broker: Broker, folder: Path) -> tuple[str, list[str]]:
    """Post callbacks through a real ingress; the topic, and the lines that a subscriber has to print.

    The topic has one partition, and what must not be printed comes before the last that must: so a subscriber that
    stops after the right number of lines has had every chance to print too much.
    """
    topics = Topics.unique()
    create_topic(broker.bootstrap, topics.events, partitions=1)
    create_topic(broker.bootstrap, topics.dlq, partitions=1)
    callbacks: list[PostedCallback] = []
    expected = []
    for unread in (3, 2, None):
        ours = recalled(ACCOUNT, unread=unread, event_time=TIME_MS)
        others = [recalled("Jonh", unread=7, event_time=TIME_MS), sent(ACCOUNT, unread=8), read(ACCOUNT, unread=9)]
        callbacks += [*others, ours]
        shown = "?" if unread is None else unread
        expected.append(f"{TIME} jared recalled {ours.json['MsgKey']}, {shown} unread")
    with IngressProcess(folder, broker.bootstrap, topics).start_ready() as bridge:
        for callback in callbacks:
            assert bridge.post(callback).status == 200
        wait_for_events(broker.bootstrap, topics.events, lambda messages: len(messages) == len(callbacks))
    return topics.events, expected


def _run(example: Example, bootstrap: str, topic: str, count: int, folder: Path) -> list[str]:
    """The lines that it prints.

    Raises:
        CannotRunError: its toolchain is not here, or cannot get what it needs.
    """
    if example.missing:
        raise CannotRunError(f"{' and '.join(example.missing)} not found")
    place = EXAMPLES
    if example.prepare:
        place = folder / example.folder
        shutil.copytree(EXAMPLES / example.folder, place, ignore=shutil.ignore_patterns("node_modules", "target"))
        prepared = subprocess.run(example.prepare, cwd=place, capture_output=True, text=True, check=False)
        if prepared.returncode:
            raise CannotRunError(f"{example.prepare[0]} failed: {(prepared.stdout + prepared.stderr).strip()[-500:]}")
    done = subprocess.run(
        [*example.command, ACCOUNT, str(count), str(LIMIT_S // 2)],
        cwd=place,
        env={**os.environ, "BOOTSTRAP_SERVERS": bootstrap, "TOPIC": topic},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if done.returncode:
        console.print(done.stderr, markup=False)
    return done.stdout.splitlines()


if __name__ == "__main__":
    sys.exit(main())
