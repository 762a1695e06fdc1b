"""The judge of the delivery tests must be able to say no."""

from collections.abc import Mapping
from typing import Any

from tests.support.load import SentCallback
from tests.support.verdict import verdict


def sent(sequence: int, account: str = "a") -> SentCallback:
    return SentCallback(account, sequence, f"key-{sequence}", 0.0, acknowledged=True)


def event(sequence: int, account: str = "a", *, event_id: str | None = None) -> Mapping[str, Any]:
    key = f"key-{sequence}"
    return {"id": event_id or f"{account}/{key}", "subject": account, "data": {"msg_key": key}}


ONE, TWO, THREE = sent(1), sent(2), sent(3)


def test_everything_in_order_is_ok() -> None:
    judged = verdict([ONE, TWO, sent(1, "b")], [event(1, "b"), event(1), event(2)])
    assert judged.ok
    assert judged.duplicates == 0


def test_an_acknowledged_callback_without_an_event_is_lost() -> None:
    judged = verdict([ONE, TWO], [event(2)])
    assert judged.lost == [ONE]
    assert not judged.ok


def test_an_event_of_another_account_does_not_stand_in_for_a_lost_one() -> None:
    assert verdict([ONE], [event(1, "b")]).lost == [ONE]


def test_a_swapped_pair_is_out_of_order() -> None:
    judged = verdict([ONE, TWO, THREE], [event(2), event(1), event(3)])
    assert judged.out_of_order == [ONE]
    assert not judged.ok


def test_everything_after_a_jump_ahead_is_out_of_order() -> None:
    assert verdict([ONE, TWO, THREE], [event(3), event(1), event(2)]).out_of_order == [ONE, TWO]


def test_only_the_first_occurrence_counts_for_the_order() -> None:
    judged = verdict([ONE, TWO], [event(1), event(2), event(1), event(2)])
    assert judged.ok
    assert judged.duplicates == 2


def test_a_repetition_does_not_hide_that_the_first_occurrence_came_late() -> None:
    judged = verdict([ONE, TWO], [event(2), event(1), event(2)])
    assert judged.out_of_order == [ONE]
    assert judged.duplicates == 1


def test_what_was_not_acknowledged_may_be_anywhere_or_nowhere() -> None:
    assert verdict([ONE, THREE], [event(2), event(1), event(3)]).ok
    assert verdict([ONE, THREE], [event(1), event(3), event(2)]).ok
    assert verdict([ONE, THREE], [event(1), event(3)]).ok


def test_one_callback_under_two_ids_is_no_mere_duplicate() -> None:
    judged = verdict([ONE], [event(1), event(1, event_id="another")])
    assert judged.two_ids == [ONE]
    assert not judged.ok
