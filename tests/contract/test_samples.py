"""The documented bodies are found by name."""

from __future__ import annotations

from bridge.contract.samples import find_sample, samples
from tests.support.callbacks import SENT
from tests.support.paths import ROOT


def test_the_samples_are_the_files() -> None:
    files = {path.stem: path.read_bytes().strip() for path in (ROOT / "bridge/contract/samples").glob("*.json")}
    assert len(files) > 50
    assert {name: one.body for name, one in samples().items()} == files
    assert samples()[f"{SENT}.v1"].command == SENT


def test_a_sample_is_found_by_its_name_and_the_first_of_a_command_by_the_command() -> None:
    found = {name: find_sample(name.lower()) for name in samples()}
    assert found == samples()
    assert find_sample(SENT.upper()) == samples()[f"{SENT}.v1"]
    assert find_sample("C2C.CallbackAfterMsgWithdrawn") is None
