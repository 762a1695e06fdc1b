"""The metrics that there are."""

from __future__ import annotations

import re
from functools import cache

from deploy.metrics_page import metrics_page

HISTOGRAM = ("_bucket", "_count", "_sum")


@cache
def metric_names() -> frozenset[str]:
    """Every name that a sample of a page of metrics may have, and that of its family."""
    names: set[str] = set()
    for name, kind in re.findall(r"^\| `(\w+)` \| (\w+) \|", metrics_page(), re.MULTILINE):
        names |= {name, name.removesuffix("_total"), *(name + end for end in HISTOGRAM if kind == "histogram")}
    return frozenset(names)
