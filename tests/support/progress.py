"""What a run of the tests shows while it goes on: each file when its last test has ended, each failure at once.

With several workers (`-n`) a file ends when all of its tests have, anywhere. `-v` and `-q` bring pytest's own output.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


@dataclass
class FileOfTests:
    """How far the tests of one file are."""

    waiting: set[str] = field(default_factory=set)
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0


class Progress:
    """A plugin; see the module."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._files: dict[str, FileOfTests] = {}
        self._tests = 0
        self._ended = 0

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """What this process itself is going to run."""
        self._expect(item.nodeid for item in session.items)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Iterable[str]) -> None:
        """What the workers are going to run: each has collected the same."""
        self._expect(ids)

    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Nothing is printed for a single test, but for its failure."""
        kind = _kind(report)
        word = kind.upper() if report.failed else ""
        return (kind, "", word) if kind else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count it; tell of a failure, and of the file when it was its last."""
        file = self._files.setdefault(report.nodeid.partition("::")[0], FileOfTests())
        file.seconds += report.duration
        if kind := _kind(report):
            file.outcomes[kind] += 1
        if report.failed:
            self._show(report)
        if report.when == "teardown":
            file.waiting.discard(report.nodeid)
            self._ended += 1
            if not file.waiting:
                self._tell(report.nodeid.partition("::")[0], file)

    def _expect(self, names: Iterable[str]) -> None:
        self._files.clear()
        for name in names:
            self._files.setdefault(name.partition("::")[0], FileOfTests()).waiting.add(name)
        self._tests = sum(len(file.waiting) for file in self._files.values())

    def _tell(self, name: str, file: FileOfTests) -> None:
        outcomes = ", ".join(f"{file.outcomes[kind]} {kind}" for kind in OUTCOMES if file.outcomes[kind])
        share = 100 * self._ended // max(1, self._tests)
        writer = self._config.get_terminal_writer()
        writer.line(f"[{share:3d} %] {name}: {outcomes}, {file.seconds:.1f} s", red=bool(file.outcomes["failed"]))
        writer.flush()

    def _show(self, report: pytest.TestReport) -> None:
        writer = self._config.get_terminal_writer()
        writer.sep("_", f"FAILED {report.nodeid} ({report.when})", red=True)
        report.toterminal(writer)
        writer.flush()


def _kind(report: pytest.TestReport) -> str:
    """The outcome under which this report counts, "" when it is one of a test's parts that is only done."""
    if hasattr(report, "wasxfail"):
        return {"skipped": "xfailed", "passed": "xpassed"}.get(report.outcome, "") if report.when == "call" else ""
    if report.failed:
        return "failed" if report.when == "call" else "error"
    return report.outcome if report.skipped or report.when == "call" else ""
