"""What programs may want to know of the log has names, and docs/operations.md has them all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.docs.markdown import page
from tests.support.paths import ROOT

LEVELS = ("info", "warning", "error", "critical")
OF_EVERY_LINE = {"message", "fault"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Where, and what."""
    for folder in ("bridge", "consumers", "common"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def name_of(call: ast.Call) -> str:
    """Of the function, as it is written."""
    return ast.unparse(call.func)


def told() -> dict[str, set[str]]:
    """Event → facts, as the code tells them."""
    found: dict[str, set[str]] = {}
    for where, call in calls():
        if name_of(call) in {"fields", "logs.fields"} and call.args:
            event = call.args[0]
            for one in (event.body, event.orelse) if isinstance(event, ast.IfExp) else (event,):
                assert isinstance(one, ast.Constant), f"{where}: the name of an event is written out"
                found.setdefault(str(one.value), set()).update(given.arg or "" for given in call.keywords)
    return found


def documented() -> list[tuple[set[str], set[str]]]:
    """The events of each row, and the facts that one of them has."""
    text = page("docs/operations.md").text.partition("## The log\n")[2].partition("\n## ")[0]
    rows = [row.strip("|").split(" | ") for row in text.splitlines() if row.startswith("| `")][1:]
    return [(set(re.findall(r"`(\w+)`", events)), set(re.findall(r"`(\w+)`", facts))) for events, _, facts in rows]


def test_every_warning_and_error_names_what_has_happened() -> None:
    nameless = [
        where
        for where, call in calls()
        if name_of(call) in {f"log.{level}" for level in LEVELS[1:]}
        and not any(given.arg == "extra" for given in call.keywords)
    ]
    assert nameless == []


def test_every_event_of_the_log_and_its_facts_are_documented_and_no_others() -> None:
    in_code = told()
    rows = documented()
    assert in_code.keys() | OF_EVERY_LINE == set().union(*(events for events, _ in rows))
    for events, facts in rows:
        assert set().union(*(in_code.get(event, set()) for event in events)) == facts, events
