"""Which times `consumers audit --from` takes."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from consumers.commands.audit import app


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--from", "2026-01-02T00:00", "--to", "2026-01-02T00:00"], "later than --from"),
        (["--from", "1h", "--to", "2h"], "later than --from"),
        (["--from", "2099-01-01", "--to", "2100-01-01"], "not in the past"),
        (["--from", "0s"], "not in the past"),
        (["--from", "0001-01-01T00:00+14:00"], "is no time"),
        (["--from", "1d", "--to", "9999-12-31T23:59:59-12:00"], "is no time"),
        (["--from", "2026-11-01T02:30 Europe/Berlin"], "is no time"),
        (["--to", "1h"], "with --from"),
    ],
)
def test_a_window_that_there_is_not_is_refused_in_a_sentence(arguments: list[str], why: str) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert why in " ".join(done.output.replace("│", " ").split())
