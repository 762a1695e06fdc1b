"""A process that could keep no ledger at its start, and gets one as it stops."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from bridge.audit import stating
from bridge.audit.folder import FOLDER, LEDGER
from bridge.audit.ledger import Claim, LifeLedger, claim_late
from bridge.audit.stating import Stating
from bridge.journal.files import LeftByOthers
from bridge.journal.numbering import SetAsideNumbers
from tests.audit.claims import nothing
from tests.support.http import until
from tests.support.ingress_parts import settings


class IdleJournal:
    """One that takes nothing."""

    set_aside_numbers = SetAsideNumbers()
    left_by_others = LeftByOthers(0, 0)

    def confirmed_through(self, _topic: str) -> int:
        return 0


async def test_a_ledger_that_the_disk_gives_during_a_stop_knows_of_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, given = threading.Event(), threading.Event()

    def refuse(*_: Any) -> Claim:
        raise OSError("no space left")

    def give_later(*arguments: Any) -> Claim:
        asked.set()
        assert given.wait(60)
        return claim_late(*arguments)

    monkeypatch.setattr(stating, "claim", refuse)
    monkeypatch.setattr(stating, "claim_late", give_later)
    monkeypatch.setattr(stating, "CLAIM_AGAIN_S", 0.01)
    one = Stating.from_settings(settings(kafka_bootstrap_servers="127.0.0.1:1"), tmp_path, nothing)
    assert one is not None
    await one.begin()
    one.start(IdleJournal())
    await asyncio.to_thread(asked.wait, 60)
    stopping = asyncio.create_task(one.stop(60))
    await asyncio.sleep(0)  # It has told all that goes on to end.
    given.set()
    await stopping

    taken: list[LifeLedger | None] = []

    def is_given_back() -> bool:
        taken.append(LifeLedger.take(tmp_path / FOLDER / f"{one.life.process}{LEDGER}"))
        return taken[-1] is not None

    await until(is_given_back)
    ledger = taken[-1]
    assert ledger is not None
    entry = ledger.read()
    ledger.close()
    assert entry is not None
    assert entry.has_ended
    assert entry.statement.ended == "stopped"
