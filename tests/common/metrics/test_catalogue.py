"""Metrics are declared once, and known labels are there from the start."""

from __future__ import annotations

import asyncio
import random
import time

from prometheus_client import CollectorRegistry, generate_latest

from common.metrics import loop_lag
from common.metrics.catalogue import Catalogue, by_process
from common.metrics.fast import MAX_LATELY
from common.metrics.of_process import BuildInfo, tell_of_process


def page_of(registry: CollectorRegistry) -> str:
    return generate_latest(registry).decode()


def test_what_is_known_of_labels_is_there_at_0_and_nothing_is_told_of_when_a_series_began() -> None:
    registry = CollectorRegistry()
    catalogue = Catalogue(registry)
    catalogue.counter("a", "A.", ["reason"], known=["x", "y"]).labels("z").inc()
    catalogue.counter("b", "B.", ["worker", "reason"], known=[("w", "x")])
    catalogue.fast_counter("c", "C.", "command", known=["x"]).count("y")
    catalogue.histogram("d", "D.", buckets=(1,)).observe(0.5)
    page = page_of(registry)
    for line in (
        'a_total{reason="x"} 0.0',
        'a_total{reason="y"} 0.0',
        'a_total{reason="z"} 1.0',
        'b_total{reason="x",worker="w"} 0.0',
        'c_total{command="x"} 0.0',
        'c_total{command="y"} 1.0',
        'd_bucket{le="1.0"} 1.0',
    ):
        assert f"\n{line}\n" in page
    assert "_created" not in page
    assert [(one.name, one.kind, one.labels) for one in catalogue.declarations] == [
        ("a_total", "counter", ("reason",)),
        ("b_total", "counter", ("worker", "reason")),
        ("c_total", "counter", ("command",)),
        ("d", "histogram", ()),
    ]


def test_a_histogram_counts_many_of_one_value_at_once() -> None:
    registry = CollectorRegistry()
    histogram = Catalogue(registry).fast_histogram("h", "H.", buckets=(1, 10))
    histogram.observe_many(2.0, 5)
    histogram.observe(20.0)
    page = page_of(registry)
    for line in ('h_bucket{le="1.0"} 0.0', 'h_bucket{le="10.0"} 5.0', 'h_bucket{le="+Inf"} 6.0', "h_sum 30.0"):
        assert f"\n{line}\n" in page


def test_a_histogram_has_each_value_in_its_bucket_however_many_came_before_it_was_asked() -> None:
    registry = CollectorRegistry()
    bounds = (1.0, 2.0, 2.5, 10.0)
    histogram = Catalogue(registry).fast_histogram("h", "H.", buckets=bounds)
    chance = random.Random(1)
    values: list[float] = []
    for count in (0, 1, MAX_LATELY - 1, MAX_LATELY, 3 * MAX_LATELY + 5, 0):
        for value in chance.choices((*bounds, 0.0, 0.5, 1.5, 2.25, 11.0), k=count):
            values.append(value)
            histogram.observe(value)
        page = page_of(registry)
        for bound in bounds:
            assert f'\nh_bucket{{le="{bound}"}} {sum(value <= bound for value in values)}.0\n' in page
        assert f'\nh_bucket{{le="+Inf"}} {len(values)}.0\n' in page
        assert f"\nh_sum {float(sum(values))}\n" in page


def test_a_size_falls_into_the_first_bucket_that_holds_it() -> None:
    registry = CollectorRegistry()
    sizes = Catalogue(registry).size_histogram("s", "S.", doublings=3)
    for size in (1, 2, 3, 4, 5, 8, 9, 1000):
        sizes.count(size)
    page = page_of(registry)
    for bound, count in (("1.0", 1), ("2.0", 2), ("4.0", 4), ("8.0", 6), ("+Inf", 8)):
        assert f'\ns_bucket{{le="{bound}"}} {count}.0\n' in page
    assert "\ns_sum 1032.0\n" in page


def test_a_process_tells_its_version_and_what_the_system_knows_of_it() -> None:
    registry = CollectorRegistry()
    tell_of_process(registry, BuildInfo("thing", worker="w"))
    page = page_of(registry)
    assert '\nthing_build_info{python="3.' in page
    assert 'worker="w"} 1.0\n' in page
    assert "\nprocess_resident_memory_bytes " in page


def test_the_metric_of_each_process_is_named_after_that_of_all() -> None:
    assert by_process("bridge_journal_bytes") == "bridge_process_journal_bytes"
    assert by_process("process_cpu_seconds_total") == "bridge_process_cpu_seconds_total"


async def test_an_event_loop_that_is_held_up_is_late() -> None:
    late: list[float] = []
    watching = asyncio.create_task(loop_lag.watch_loop_lag(late.append))
    await asyncio.sleep(0)  # It has begun to wait.
    time.sleep(loop_lag.INTERVAL_S + 0.5)  # noqa: ASYNC251 - it is what is measured
    async with asyncio.timeout(60):
        while not late:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
    watching.cancel()
    assert late[0] > 0.25
