"""What the checks of a `doctor` command have found, and how it is shown."""

from __future__ import annotations

from typing import NamedTuple

import orjson
from rich.text import Text

from common.terminal import Output, show_table


class Finding(NamedTuple):
    """The outcome of one check."""

    subject: str
    is_good: bool
    detail: str
    is_note: bool = False
    """Good for some purposes and not for others, which the detail tells apart; it is counted as good."""


def show_findings(findings: list[Finding], *, as_json: bool) -> bool:
    """Print them, as a table or as one JSON object. Whether all is well."""
    is_well = all(finding.is_good for finding in findings)
    if as_json:
        found = [
            {"subject": one.subject, "ok": one.is_good, "note": one.is_note, "detail": one.detail} for one in findings
        ]
        Output().json(orjson.dumps({"well": is_well, "findings": found}).decode())
        return is_well
    show_table(
        ("", "checked", "found"),
        [(_verdict(finding), finding.subject, finding.detail) for finding in findings],
    )
    return is_well


def _verdict(finding: Finding) -> Text:
    if not finding.is_good:
        return Text("fault", "red")
    return Text("note", "yellow") if finding.is_note else Text("ok", "green")
