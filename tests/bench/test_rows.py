"""Rows whose toolchain is missing."""

from __future__ import annotations

import pytest

from bench import rows
from bench.rows import FLOOR


def test_a_row_whose_toolchain_is_missing_is_left_out_with_a_line_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    said: list[str] = []
    chosen = [row.name for row in rows.chosen([], said.append)]
    assert FLOOR in chosen
    assert rows.BRIDGE in chosen
    assert not any("Go" in name or "Rust" in name for name in chosen)
    assert len(said) == 3
    assert all("cannot be found: install" in line for line in said)
    assert all("\n" not in line for line in said)
