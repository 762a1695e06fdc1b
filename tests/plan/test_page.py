"""The tables of docs/scale.md say what `bridge plan` reckons."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bridge.plan.measured import ASSUMED, MEASURED
from bridge.plan.model import Demand, Sizing, size
from tests.support.paths import ROOT

DEMANDS = (Demand(1000, 1e6, 3600), Demand(100_000, 10e6, 3600), Demand(1e6, 100e6, 3600))
"""The columns of the table."""
KEPT_BY_ZSTD = 1 / 5
ROUNDED = 0.04
"""0.87 is told as 0.9."""
UNITS = {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "min": 60}


def rows(heading: str) -> Iterator[list[str]]:
    """The cells of each row of the first table below a heading."""
    text = (ROOT / "docs/scale.md").read_text().partition(f"## {heading}\n")[2]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert table is not None
    for line in table[0].splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def number(cell: str) -> float:
    """What the number at the beginning of a cell says: bytes, seconds, or a count."""
    found = re.match(r"([\d,.]+)(?: (\w+))?", cell)
    assert found is not None, cell
    return float(found[1].replace(",", "")) * UNITS.get(found[2], 1)


def packed(demand: Demand) -> Sizing:
    """As much, where a fifth of the bytes of a record is left."""
    of_record = ASSUMED.event_bytes + MEASURED.record_overhead_bytes
    left = of_record * KEPT_BY_ZSTD - MEASURED.record_overhead_bytes
    return size(demand, assumed=ASSUMED._replace(event_bytes=left))


def test_what_is_worked_out_is_what_the_command_says() -> None:
    sizings = [size(demand) for demand in DEMANDS]
    expected: dict[str, list[float]] = {
        "ingress processes, a core each": [one.ingress for one in sizings],
        "badges workers, a core each": [one.workers for one in sizings],
        "partitions": [one.partitions for one in sizings],
        "into the topic, not compressed": [one.topic_bytes_per_s for one in sizings],
        "disk of the topic, three copies, seven days": [one.topic_bytes for one in sizings],
        "brokers": [one.brokers for one in sizings],
        "the same with zstd, if a fifth of the bytes is left": [packed(demand).brokers for demand in DEMANDS],
        "masters of Redis": [one.redis_nodes for one in sizings],
        "badges": [one.badge_bytes for one in sizings],
        "disk of each journal for that hour": [one.journal_bytes for one in sizings],
        "drained after": [one.drained_s // 60 * 60 for one in sizings],  # As `duration` tells it.
    }
    told = {name: cells for name, *cells in rows("Worked out")}
    assert told.keys() == expected.keys()
    for name, values in expected.items():
        for cell, right in zip(told[name], values, strict=True):
            is_rounded = any(unit in cell for unit in UNITS)
            assert number(cell) == pytest.approx(right, rel=ROUNDED if is_rounded else 0), name


def test_the_figures_that_it_is_reckoned_with_are_those_of_the_page() -> None:
    told = {name: number(cell) for name, cell, _ in rows("What it is reckoned with") if re.match(r"[\d,.]+", cell)}
    figures = {
        "callbacks a second of an ingress process with a core for itself": MEASURED.callbacks_per_core,
        "its memory, after a load at saturation": MEASURED.ingress_mib * 2**20,
        "events a second and core of `consumers run badges`, from a full topic": MEASURED.badge_events_per_core,
        "its memory meanwhile": MEASURED.worker_mib * 2**20,
        "badge events a second that keep a core of Redis busy": MEASURED.redis_updates_per_core,
        "a record on the topic, beside its event": MEASURED.record_overhead_bytes,
        "a record in the journal, beside its event": MEASURED.journal_overhead_bytes,
        "a badge in Redis, of a million": MEASURED.badge_bytes,
        "a reply": MEASURED.reply_s * 1000,
    }
    assert told == figures
    text = " ".join((ROOT / "docs/scale.md").read_text().split())
    assert f"| in {MEASURED.drain_share:g} of the outage that made it |" in text
    for figure in (f"{ASSUMED.event_bytes:g} bytes", f"{ASSUMED.mean_share:g} of its peak"):
        assert figure in text
    for figure in (f"{ASSUMED.broker_mb_s:g} MB/s", f"{ASSUMED.redis_gb:g} GB"):
        assert figure in text
