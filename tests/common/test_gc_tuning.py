"""How the garbage collector is told to leave living objects alone."""

from __future__ import annotations

import gc

from common.gc_tuning import tune_garbage_collector


def test_what_exists_is_not_searched_again_and_the_rest_rarely() -> None:
    before = gc.get_threshold()
    try:
        tune_garbage_collector()
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold()[0] > before[0]
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
