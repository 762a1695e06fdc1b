"""Alerts, runbook, dashboard and the page of metrics agree with what the code declares."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from bridge import metrics
from consumers.metrics import Metrics
from deploy.__main__ import MADE, stale
from tests.deploy.metric_names import metric_names
from tests.docs.markdown import page
from tests.support.paths import ROOT

RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
EVERY_RULE = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
OF_PROMETHEUS = {"up", "process_start_time_seconds"}
PARTS = ("**How to tell.**", "**Do.**", "**Do not**")
PARTS_IN_CHINESE = ("**怎么判断。**", "**怎么做。**", "**不要**")


def names_in(expression: str) -> set[str]:
    """The metrics that a query asks for."""
    return set(re.findall(r"\b(?:bridge|consumers|process)_\w+\b", expression))


def dashboard() -> dict[str, Any]:
    return json.loads((ROOT / "deploy/grafana/im-bridge.json").read_text())  # type: ignore[no-any-return]


def panels() -> list[dict[str, Any]]:
    """Those that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def section(path: str, name: str) -> str:
    return page(path).text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_what_is_made_of_the_declarations_is_up_to_date() -> None:
    assert [path.name for path in stale()] == [], "run make metrics"
    assert len(MADE) == 2


@EVERY_RULE
def test_an_alert_asks_for_metrics_that_there_are(rule: dict[str, Any]) -> None:
    asked = names_in(rule["expr"])
    assert asked
    assert asked - OF_PROMETHEUS <= metric_names()


@EVERY_RULE
def test_an_alert_leads_to_a_section_that_says_how_to_tell_what_to_do_and_what_not(rule: dict[str, Any]) -> None:
    path, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    assert anchor in page(path).anchors()
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert all(part in section(path, rule["alert"]) for part in PARTS)
    assert all(part in section("docs/zh-CN/runbook.md", rule["alert"]) for part in PARTS_IN_CHINESE)


def test_every_section_of_the_runbook_is_of_an_alert_but_the_first() -> None:
    _, first, *sections = [text for _, text in page("docs/runbook.md").headings]
    assert "restart" in first
    assert sections == [rule["alert"] for rule in RULES]


@EVERY_RULE
def test_what_an_alert_does_is_tested(rule: dict[str, Any]) -> None:
    assert rule["alert"] in (ROOT / "deploy/prometheus/rules-test.yaml").read_text()


def test_labels_that_alerts_select_by_are_those_that_there_are() -> None:
    expressions = " ".join(rule["expr"] for rule in RULES)
    reasons = {reason for found in re.findall(r'reason=~?"([\w|]+)"', expressions) for reason in found.split("|")}
    assert reasons
    assert reasons <= set(metrics.REFUSAL_REASONS)


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    expressions = [target["expr"] for panel in panels() for target in panel["targets"]]
    assert len(expressions) > 20
    for expression in expressions:
        assert names_in(expression), expression
        assert names_in(expression) <= metric_names(), expression


def test_on_the_dashboard_nothing_covers_anything_and_queries_of_a_panel_have_names_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    for panel in panels():
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names)
        assert all(names)


def test_every_metric_of_a_worker_is_on_the_page() -> None:
    shown = {family.name for family in Metrics("some").registry.collect()}
    assert shown <= metric_names()
