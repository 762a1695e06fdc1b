"""The labels of metrics are known from the start."""

from __future__ import annotations

import re
from typing import get_args

from prometheus_client import generate_latest

from bridge import metrics
from bridge.contract.reference import DEAD_LETTERS
from bridge.events import registry
from bridge.ingress import refusals
from bridge.process.reloads import ReloadOutcome
from tests.support.paths import ROOT


def shown() -> str:
    return generate_latest(metrics.REGISTRY).decode()


def test_every_reason_of_a_refusal_is_there_from_the_start() -> None:
    source = (ROOT / "bridge/ingress/refusals.py").read_text()
    assert set(re.findall(r'HTTPStatus\.\w+,\s+"(\w+)"', source)) == set(metrics.REFUSAL_REASONS)
    assert refusals.METHOD.reason in metrics.REFUSAL_REASONS
    page = shown()
    assert all(f'bridge_refused_total{{reason="{reason}"}} ' in page for reason in metrics.REFUSAL_REASONS)


def test_every_reason_of_a_dead_letter_is_there_from_the_start() -> None:
    table = DEAD_LETTERS.partition("| --- |")[2]
    documented = {reason for row in table.splitlines() for reason in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    assert documented == set(metrics.DEAD_LETTER_REASONS)
    source = "".join(path.read_text() for path in (ROOT / "bridge/normalize").glob("*.py"))
    assert set(re.findall(r'(?:UnreadableError|Excess)\("(\w+)"', source)) <= set(metrics.DEAD_LETTER_REASONS)
    assert all(f'bridge_dead_letters_total{{reason="{reason}"}} ' in shown() for reason in metrics.DEAD_LETTER_REASONS)


def test_every_command_is_there_from_the_start() -> None:
    page = shown()
    commands = [entry.callback.command for entry in registry.ENTRIES] + [metrics.OTHER]
    assert all(f'bridge_accepted_total{{command="{command}"}} ' in page for command in commands)


def test_every_outcome_of_a_decision_is_known() -> None:
    source = "".join((ROOT / f"bridge/ingress/{name}.py").read_text() for name in ("endpoint_answer", "decisions"))
    named = set(re.findall(r'NoDecisionError\(\s*"(\w+)"', source))
    assert named <= set(metrics.UNDECIDED)
    assert len(named) >= 5


def test_every_outcome_of_a_reload_is_there_from_the_start() -> None:
    page = generate_latest(metrics.PARENT_REGISTRY).decode()
    assert set(metrics.RELOAD_OUTCOMES) == set(get_args(ReloadOutcome))
    assert all(f'bridge_reloads_total{{outcome="{outcome}"}} ' in page for outcome in metrics.RELOAD_OUTCOMES)


def test_nothing_is_told_of_when_a_series_began() -> None:
    assert "_created" not in shown()
