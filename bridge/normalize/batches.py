"""Bodies that hold several events: each item of the list becomes a body of its own."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from bridge.normalize.bounds import MAX_VALUES
from bridge.normalize.repair import UnreadableError, check_bounds, dump, load

MAX_ITEMS = 500
"""Most events of a batch. The documentation says a hundred."""
MAX_SHARED_BYTES = 512 * 1024
"""Most bytes that all items together get of what stands beside the list: it is copied into each."""

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
        UnreadableError: the body is no JSON object, or has too many items, or would grow too much.
    """
    if f'"{name}"'.encode() not in body and not (is_sure and _hides_names(body)):
        return None
    write: Callable[[Any], bytes]
    is_object: Callable[[Any], bool]
    try:
        check_bounds(body)
        fields: dict[str, Any] = dict(_raw_fields(body))
        values: Any = _raw_items(fields.pop(name))
        repaired, write, is_object = False, bytes, _is_raw_object
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        fields, repaired = load(body)
        values = fields.pop(name, None)
        if not isinstance(values, list):
            return None
        write, is_object = dump, _is_object
    if not is_sure and (fields or not all(map(is_object, values))):
        return None
    if len(values) > MAX_ITEMS:
        raise UnreadableError("too_many_events", f"the body is a batch of more than {MAX_ITEMS} events")
    items = [BatchItem(write(value), repaired, position) for position, value in enumerate(values)]
    return _with_common(items, {other: write(value) for other, value in fields.items()}) if fields else items


def _hides_names(body: bytes) -> bool:
    """Whether a name may stand in it and not be found: escaped, or in UTF-16."""
    return b"\\u" in body or body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def _is_raw_object(value: msgspec.Raw) -> bool:
    return bytes(value).startswith(b"{")


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _with_common(items: list[BatchItem], common: dict[str, bytes]) -> list[BatchItem]:
    """The items with what stands beside the list, which is true of all of them."""
    raw = b"{%b}" % b",".join(b"%b:%b" % (dump(name), value) for name, value in common.items())
    if len(raw) * len(items) > MAX_SHARED_BYTES or _separators(raw) * len(items) > MAX_VALUES:
        raise UnreadableError("too_large", "the fields beside the list of a batch are too large to be copied into each")
    shared = load(raw).fields
    return [_joined(item, shared) for item in items]


def _separators(raw: bytes) -> int:
    """No fewer than the values it holds."""
    return raw.count(b",") + raw.count(b"[") + raw.count(b"{")


def _joined(item: BatchItem, shared: dict[str, Any]) -> BatchItem:
    try:
        fields, repaired = load(item.body)
    except UnreadableError:
        return item
    return BatchItem(dump(shared | fields), repaired or item.repaired, item.position)
