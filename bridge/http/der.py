"""Until when a certificate is of use: the one thing that we need of its inside, which `ssl` does not tell of its own.

The form is ASN.1 in DER (ITU-T X.690); what a certificate is made of, RFC 5280, 4.1.
"""

from __future__ import annotations

from datetime import UTC, datetime

_SEQUENCE = 0x30
_VERSION = 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18
_LONG_FORM = 0x80
_BEFORE_VALIDITY = 3
"""Serial number, algorithm and issuer."""


def latest_use(certificate: bytes) -> float:
    """When a certificate expires, as Unix time in seconds.

    Args:
        certificate: in DER.

    Raises:
        ValueError: it is none.
    """
    try:
        at, _ = _into(certificate, 0, _SEQUENCE)
        at, _ = _into(certificate, at, _SEQUENCE)
        if certificate[at] == _VERSION:
            at = _behind(certificate, at)
        for _ in range(_BEFORE_VALIDITY):
            at = _behind(certificate, at)
        at, _ = _into(certificate, at, _SEQUENCE)
        at = _behind(certificate, at)
        kind = certificate[at]
        begin, end = _into(certificate, at, kind)
        return _time(kind, certificate[begin:end].decode("ascii"))
    except IndexError:
        raise ValueError("it ends too early") from None


def _into(der: bytes, at: int, kind: int) -> tuple[int, int]:
    """Begin and end of what is in the element there."""
    if der[at] != kind:
        raise ValueError("another element was expected")
    size = der[at + 1]
    begin = at + 2
    if size >= _LONG_FORM:
        size_bytes = size - _LONG_FORM
        size = int.from_bytes(der[begin : begin + size_bytes])
        begin += size_bytes
    if begin + size > len(der):
        raise ValueError("it ends too early")
    return begin, begin + size


def _behind(der: bytes, at: int) -> int:
    return _into(der, at, der[at])[1]


def _time(kind: int, text: str) -> float:
    if kind == _UTC_TIME:  # Two digits of the year, of 1950 to 2049.
        text = ("19" if text >= "50" else "20") + text
    elif kind != _GENERALIZED_TIME:
        raise ValueError("it has no time where its end should be")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
