"""The page docs/metrics.md: every metric, from its declaration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge import metrics as bridge_metrics
from common.metrics.catalogue import Declaration, by_process
from consumers.metrics import OWN_METRICS, Metrics

HEAD = """\
# Metrics

<!-- Written by `make metrics` from the declarations in bridge/metrics.py and consumers/metrics.py. Change those. -->

What `/metrics` shows on the admin port, in the text format of Prometheus. Alerts are in
[`deploy/prometheus/rules.yaml`](../deploy/prometheus/rules.yaml), [runbook.md](runbook.md) says what to do about
each, and `deploy/grafana/im-bridge.json` is a dashboard.

- Names and labels are the same with one process of the ingress and with many (`BRIDGE_WORKERS`). A metric without the
  label `process` tells of all together: counters and histograms are summed, of a gauge the table says what it is.
- What matters of each process is there besides, as `bridge_process_…` with no other label than `process`: its number,
  `0` for the only one; `parent` is the process that starts the others.
- What a process counted stays in the sums when it ends and another takes its place, also through a reload, so they fall
  only when all start anew. Of a process that was killed, what it counted since the last question is lost to them.
- Every known value of a label is there from the start, at 0: `increase()` sees the first of its kind.
"""


def metrics_page() -> str:
    """The page, in Markdown."""
    worker = Metrics("")
    own = [
        Declaration(
            f"consumers_{one.name}{'_total' if one.kind == 'counter' else ''}",
            one.kind,
            one.meaning,
            ("worker", *one.labels),
        )
        for one in OWN_METRICS
    ]
    return "\n".join(
        [
            HEAD,
            "## The ingress\n",
            *_table(bridge_metrics.DECLARATIONS, has_totals=True),
            "\n## The ingress, of each process\n",
            *_of_each(bridge_metrics.DECLARATIONS),
            "\n## Every worker\n",
            *_table(worker.declarations, has_totals=False),
            "\n## Some workers besides\n",
            "Of the workers of this package; [your own](workers.md) have what they make with `context.metrics`.\n",
            *_table(own, has_totals=False),
            "",
        ]
    )


def _table(declarations: Iterable[Declaration], *, has_totals: bool) -> Iterator[str]:
    yield "| metric | type | labels | it says |"
    yield "| --- | --- | --- | --- |"
    for one in declarations:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        total = f" Of several processes: {one.total.value}." if has_totals and one.kind == "gauge" else ""
        yield f"| `{one.name}` | {one.kind} | {labels} | {one.meaning}{total} |"


def _of_each(declarations: Iterable[Declaration]) -> Iterator[str]:
    yield "| metric | type | the same of all |"
    yield "| --- | --- | --- |"
    for one in declarations:
        if one.is_told_of_each:
            yield f"| `{by_process(one.name)}` | {one.kind} | `{one.name}` |"
