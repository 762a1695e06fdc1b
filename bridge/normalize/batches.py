"""Bodies that hold several events: each item of the list becomes a body of its own."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from bridge.normalize.repair import UnreadableError, dump, load

_raw_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_raw_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class BatchItem(NamedTuple):
    """An item of a batch, as the body of one event."""

    body: bytes
    repaired: bool
    position: int

    @property
    def is_object(self) -> bool:
        """Whether it can become an event."""
        return self.body.startswith(b"{")


def split_batch(body: bytes, name: str, *, is_sure: bool) -> list[BatchItem] | None:
    """The items of a batch body, None where the body is no batch.

    Args:
        body: the whole body.
        name: of the list.
        is_sure: whether the documentation says that it is a batch. Else it is one if it has nothing but a list of
            objects under that name.

    Raises:
        UnreadableError: the body is no JSON object.
    """
    if f'"{name}"'.encode() not in body:
        return None
    try:
        fields: dict[str, Any] = dict(_raw_fields(body))
        values: list[Any] = _raw_items(fields[name])
        items = [BatchItem(bytes(value), False, position) for position, value in enumerate(values)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        fields, repaired = load(body)
        if not isinstance(fields.get(name), list):
            return None
        items = [BatchItem(dump(value), repaired, position) for position, value in enumerate(fields[name])]
        fields = {other: dump(value) for other, value in fields.items()}
    del fields[name]
    if not is_sure and (fields or not all(item.is_object for item in items)):
        return None
    return [_with_common(item, fields) for item in items] if fields else items


def _with_common(item: BatchItem, common: dict[str, bytes]) -> BatchItem:
    """The item with what stands beside the list, which is true of all of them."""
    try:
        fields, repaired = load(item.body)
    except UnreadableError:
        return item
    shared = {name: load(b'{"_":%b}' % bytes(value)).fields["_"] for name, value in common.items()}
    return BatchItem(dump(shared | fields), repaired or item.repaired, item.position)
