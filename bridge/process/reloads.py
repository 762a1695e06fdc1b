"""What became of the reloads, for metrics, `/readyz` and `bridge reload`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from bridge import metrics

BEGUN = "begun"
ReloadOutcome = Literal["done", "refused", "failed"]
State = Literal["none", "checking", "replacing", "done", "refused", "failed"]


class Reloads:
    """Counts reloads over all programs that this process has been.

    Args:
        counted: by the programs before this one; with a reload under way, which this one has to finish.
    """

    def __init__(self, counted: Mapping[str, int] | None = None) -> None:
        self._counts = Counter(counted or {})
        self.state: State = "replacing" if counted else "none"
        """Of the last one."""
        self.problem = ""
        """Why it came to nothing, or does not go on."""
        for outcome in metrics.RELOAD_OUTCOMES:
            metrics.RELOADS.labels(outcome).inc(self._counts[outcome])
        metrics.LAST_RELOAD_OK.set(1)

    @property
    def counts(self) -> dict[str, int]:
        """For a successor."""
        return dict(self._counts)

    @property
    def detail(self) -> dict[str, object]:
        """For `/readyz`."""
        return {"number": self._counts[BEGUN], "state": self.state} | (
            {"problem": self.problem} if self.problem else {}
        )

    def begin(self) -> None:
        """One more, which is checked first."""
        self._counts[BEGUN] += 1
        self.state, self.problem = "checking", ""

    def end(self, outcome: ReloadOutcome, problem: str = "") -> None:
        """It came to this; of one that failed a later attempt may still be done."""
        if (self.state, self.problem) != (outcome, problem):
            self._counts[outcome] += 1
            metrics.RELOADS.labels(outcome).inc()
        self.state, self.problem = outcome, problem
        metrics.LAST_RELOAD_OK.set(outcome == "done")
