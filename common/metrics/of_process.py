"""What every process tells of itself: its version, and what the system knows of it (`process_…`)."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from common.metrics.catalogue import Aggregate, Declaration

DISTRIBUTION = "im-bridge"

OF_PROCESS = (
    Declaration("process_cpu_seconds_total", "counter", "Processor time that was used.", is_told_of_each=True),
    Declaration("process_resident_memory_bytes", "gauge", "Memory that is used.", is_told_of_each=True),
    Declaration("process_virtual_memory_bytes", "gauge", "Address space that is used."),
    Declaration("process_open_fds", "gauge", "Descriptors that are open.", total=Aggregate.MOST),
    Declaration("process_max_fds", "gauge", "Most descriptors that may be open.", total=Aggregate.LEAST),
    Declaration(
        "process_start_time_seconds",
        "gauge",
        "When it began, in Unix seconds.",
        total=Aggregate.LEAST,
        is_told_of_each=True,
    ),
)
"""What `ProcessCollector` collects, on Linux."""


class BuildInfo(Collector):
    """Which version runs: a gauge that is always 1.

    Args:
        prefix: of its name, e.g. `bridge`.
        labels: more of them.
    """

    def __init__(self, prefix: str, **labels: str) -> None:
        self.declaration = Declaration(
            f"{prefix}_build_info",
            "gauge",
            "1; its labels say which version runs, on which Python.",
            (*labels, "version", "python"),
            Aggregate.MOST,
        )
        self._labels = {**labels, "version": version(DISTRIBUTION), "python": platform.python_version()}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The one sample."""
        family = GaugeMetricFamily(self.declaration.name, self.declaration.meaning, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), 1)
        yield family


def tell_of_process(registry: CollectorRegistry, build: BuildInfo) -> None:
    """Have a registry tell of this process."""
    registry.register(build)
    ProcessCollector(registry=registry)
