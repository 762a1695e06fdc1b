"""Was every acknowledged callback delivered, in order? The judge of every delivery test, so it has tests of its own."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.load import SentCallback


@dataclass(frozen=True, slots=True)
class DeliveryVerdict:
    """What went wrong between the replies and the topic.

    `lost`: acknowledged, but on no event. `out_of_order`: acknowledged, but first seen after a later one of the same
    account. `two_ids`: seen under more than one event id, so that consumers cannot recognise the repetition.
    `duplicates`: how many events repeat the id of an earlier one, which at-least-once allows.
    """

    lost: list[SentCallback]
    out_of_order: list[SentCallback]
    two_ids: list[SentCallback]
    duplicates: int

    @property
    def ok(self) -> bool:
        """Whether the promises were kept; duplicates do not break any."""
        return not (self.lost or self.out_of_order or self.two_ids)


def verdict(
    acknowledged: Iterable[SentCallback],
    events: Iterable[Mapping[str, Any]],
    *,
    in_order: Callable[[SentCallback], Hashable] = lambda _: None,
) -> DeliveryVerdict:
    """Compare with the events, in the order of the log within each partition; events of others do no harm.

    Of each event id only the first occurrence counts. A callback without an acknowledgement may be on the topic or
    not, at any place. Of an account, the callbacks for which `in_order` gives the same must be in order: all, unless
    told otherwise. Raises KeyError for an event without id, subject or data.
    """
    expected = {(one.account, one.msg_key): one for one in acknowledged}
    ids: dict[tuple[str, str], str] = {}
    seen: set[str] = set()
    latest: dict[Hashable, int] = {}
    duplicates = 0
    out_of_order, two_ids = [], []
    for event in events:
        if event["id"] in seen:
            duplicates += 1
            continue
        seen.add(event["id"])
        callback = (event["subject"], event["data"].get("msg_key"))
        one = expected.get(callback)
        if one is None:
            continue
        if ids.setdefault(callback, event["id"]) != event["id"]:
            two_ids.append(one)
            continue
        together = (one.account, in_order(one))
        if one.sequence < latest.get(together, 0):
            out_of_order.append(one)
        else:
            latest[together] = one.sequence
    lost = [one for callback, one in expected.items() if callback not in ids]
    return DeliveryVerdict(lost=lost, out_of_order=out_of_order, two_ids=two_ids, duplicates=duplicates)
