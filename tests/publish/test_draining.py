"""What a rescue by hand says of the journals that it leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.journal.store import Row, Store
from bridge.publish import draining


def test_of_a_journal_that_we_may_not_read_it_says_as_whom_to_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.create(tmp_path)
    store.write([Row(1, "t", 1, 10, b"\x90")], [], sync=True)
    store.close()

    def forbidden(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(draining, "lock_holder", forbidden)
    survey = draining._surveyed(tmp_path)
    assert survey.events == {}
    (left,) = survey.left
    assert (left.path, left.events) == (store.path, None)
    assert left.reason == "we may not read it: run this as the user of the ingress"
