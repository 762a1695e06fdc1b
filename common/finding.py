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


def show_findings(findings: list[Finding], *, as_json: bool) -> bool:
    """Print them, as a table or as one JSON object. Whether all is well."""
    is_well = all(finding.is_good for finding in findings)
    if as_json:
        found = [{"subject": one.subject, "ok": one.is_good, "detail": one.detail} for one in findings]
        Output().json(orjson.dumps({"well": is_well, "findings": found}).decode())
        return is_well
    show_table(
        ("", "checked", "found"),
        [
            (Text("ok", "green") if finding.is_good else Text("fault", "red"), finding.subject, finding.detail)
            for finding in findings
        ],
    )
    return is_well
