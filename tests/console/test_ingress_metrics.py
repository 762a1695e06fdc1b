"""What the charts show of an ingress is made of its metrics."""

from __future__ import annotations

import pytest

from bridge.console.ingress_metrics import MetricSums, quantile_s, rate

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
    found = quantile_s(before, after, 0.5)
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_counter_that_began_anew_has_grown_by_what_it_is() -> None:
    assert rate(10, 16, 2) == 3
    assert rate(10, 4, 2) == 2
    assert rate(1, 2, 0) is None
