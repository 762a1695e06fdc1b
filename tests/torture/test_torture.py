"""A short form of `make torture` for `make test-slow`: the seed is new each time, and printed when it fails."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.torture.run import run

RUN_S = 22.0


@pytest.mark.slow
@pytest.mark.broker
def test_under_faults_of_every_kind_nothing_acknowledged_is_lost_or_in_disorder(tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    log: list[str] = []
    report = run(tmp_path / "stage", seed=seed, seconds=RUN_S, say=log.append)
    delivery = report.delivery
    assert report.ok, (
        f"seed {seed}, `make torture ARGS='--minutes {RUN_S / 60:.3f} --seed {seed}'`: "
        f"{len(delivery.lost)} lost, {len(delivery.out_of_order)} out of order, {len(delivery.two_ids)} under two ids, "
        f"{len(report.wrong_in_redis)} and {len(report.wrong_on_topic)} badges wrong, "
        f"{report.damaged_journals} journals damaged, drained: {report.drained_after}\n"
        + "\n".join([*report.audit.complaints, *log])
    )
    assert len(report.acknowledged) > 1000
    assert len({step.fault for _, step in report.done}) > 5, "a run has faults of many kinds"
