"""What the charts show of an ingress is made of its metrics."""

from __future__ import annotations

import pytest
from yarl import URL

from bridge.console.ingress_metrics import MetricSums, growth, quantile_s

ONE, OTHER = URL("http://127.0.0.1:9090/metrics"), URL("http://127.0.0.1:9091/metrics")
PAGE = """# HELP bridge_accepted_total Callbacks that were acknowledged.
# TYPE bridge_accepted_total counter
bridge_accepted_total{command="C2C.CallbackAfterSendMsg"} 5.0
bridge_accepted_total{command="other"} 2.0
bridge_refused_total{reason="bad_signature"} 1.0
bridge_published_total{topic="im.events"} 6.0
# TYPE bridge_reply_seconds histogram
bridge_reply_seconds_bucket{le="0.001"} 1.0
bridge_reply_seconds_bucket{le="0.01"} 6.0
bridge_reply_seconds_bucket{le="+Inf"} 7.0
bridge_reply_seconds_sum 0.5
"""


def test_counters_of_all_labels_and_of_all_ingresses_are_added_up() -> None:
    sums = MetricSums()
    sums.read(PAGE)
    sums.read(PAGE)
    assert sums.counters == {"accepted": 14, "refused": 2, "published": 12}
    assert sums.replies == {0.001: 2, 0.01: 12, float("inf"): 14}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {0.001: 10, 0.01: 10}, 0.0005),
        ({0.001: 10, 0.01: 10}, {0.001: 10, 0.01: 20}, 0.0055),
        ({0.001: 10, 0.01: 20}, {0.001: 10, 0.01: 20}, None),
        ({0.001: 10, 0.01: 20}, {0.001: 2, 0.01: 2}, 0.0005),
        ({}, {0.001: 0, float("inf"): 4}, 0.001),
        ({}, {}, None),
    ],
    ids=["all quick", "since the last look", "none came", "it began anew", "beyond all bounds", "no histogram"],
)
def test_half_of_the_replies_were_quicker(
    before: dict[float, float], after: dict[float, float], expected: float | None
) -> None:
    grown = growth({ONE: MetricSums(replies=before)}, {ONE: MetricSums(replies=after)})
    assert grown is not None
    assert quantile_s(grown.replies, 0.5) == (None if expected is None else pytest.approx(expected))


def test_a_counter_that_began_anew_has_grown_by_what_it_is() -> None:
    assert grown_by({ONE: 10}, {ONE: 16}) == 6
    assert grown_by({ONE: 10}, {ONE: 4}) == 4


def test_what_an_ingress_counts_that_did_not_answer_before_is_not_new() -> None:
    assert grown_by({ONE: 1000, OTHER: 1000}, {ONE: 1003}) == 3
    assert grown_by({ONE: 1003}, {ONE: 1006, OTHER: 1009}) == 3
    assert grown_by({ONE: 1003}, {OTHER: 1009}) is None
    assert grown_by({}, {}) is None


def grown_by(before: dict[URL, float], after: dict[URL, float]) -> float | None:
    pages = ({page: MetricSums({"accepted": count}) for page, count in each.items()} for each in (before, after))
    grown = growth(*pages)
    return None if grown is None else grown.counters["accepted"]
