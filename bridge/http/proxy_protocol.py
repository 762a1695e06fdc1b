"""The PROXY protocol, versions 1 and 2: what a front says of a connection that it passes on, before its first byte.

https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt. Nothing of a header is believed that is not as it says
there: a front that writes it wrongly may have let its client write it.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Iterator

from aiokafka.record.util import calc_crc32c

V1_BEGINNING = b"PROXY "
V1_MAX_BYTES = 107
"""With its line end."""
V2_BEGINNING = b"\r\n\r\n\x00\r\nQUIT\n"
V2_FIXED_BYTES = 16
"""What tells how long the rest is."""
V2_MAX_BYTES = 16 * 1024
"""Of a header with all that a front adds, as the certificate of a client. Its form would allow four times that."""
LINE_END = b"\r\n"

_PORT = re.compile(r"0|[1-9][0-9]{0,4}")
_MAX_PORT = 65_535
_LOCAL, _PROXY = 0, 1
_ADDRESS_BYTES = {0: 0, 1: 12, 2: 36, 3: 216}
"""Of each family: none, IPv4, IPv6, Unix."""
_IP_BYTES = {1: 4, 2: 16}
_TRANSPORTS = 3
_TLV_HEAD = struct.Struct("!BH")
_CRC32C = 0x03
_CRC_BYTES = 4


class ProxyHeaderError(ValueError):
    """What a connection begins with is no such header; the message says why, for people."""


class ProxyHeader:
    """The header of a connection, while it arrives."""

    __slots__ = ("_content", "is_whole", "source")

    def __init__(self) -> None:
        self._content = b""
        self.is_whole = False
        self.source: str | None = None
        """The address of who is connected to the front. None: the front itself, or nobody that has an IP address."""

    @property
    def is_begun(self) -> bool:
        """Whether something of it has come."""
        return bool(self._content)

    def read(self, data: bytes) -> int:
        """Read on in what arrived.

        Returns:
            how many bytes of it belong to the header.

        Raises:
            ProxyHeaderError: it is none.
        """
        known = len(self._content)
        content = self._content + data
        if content.startswith(V1_BEGINNING):
            end = _end_of_v1(content)
        elif content.startswith(V2_BEGINNING):
            end = _end_of_v2(content)
        elif V1_BEGINNING.startswith(content) or V2_BEGINNING.startswith(content):
            end = None
        else:
            raise ProxyHeaderError("it does not begin with a header of the PROXY protocol")
        if end is None:
            self._content = content
            return len(data)
        self._content = content[:end]
        self.source = _read_v1(self._content) if content.startswith(V1_BEGINNING) else _read_v2(self._content)
        self.is_whole = True
        return end - known


def _end_of_v1(content: bytes) -> int | None:
    end = content.find(LINE_END, 0, V1_MAX_BYTES)
    if end >= 0:
        return end + len(LINE_END)
    if len(content) >= V1_MAX_BYTES:
        raise ProxyHeaderError(f"its line, of version 1, has no end within {V1_MAX_BYTES} bytes")
    return None


def _read_v1(line: bytes) -> str | None:
    words = line[:-2].decode("latin-1").split(" ")
    kind = words[1]
    if kind == "UNKNOWN":
        return None  # Whatever stands behind it.
    if kind not in {"TCP4", "TCP6"}:
        raise ProxyHeaderError("it names another protocol than TCP4, TCP6 and UNKNOWN")
    if len(words) != 6:
        raise ProxyHeaderError("its line has not two addresses and two ports, with one space between")
    read = ipaddress.IPv4Address if kind == "TCP4" else ipaddress.IPv6Address
    try:
        source, _ = read(words[2]), read(words[3])
    except ValueError:
        raise ProxyHeaderError(f"it has addresses that are none of {kind}") from None
    if not all(_PORT.fullmatch(port) and int(port) <= _MAX_PORT for port in words[4:]):
        raise ProxyHeaderError("it has ports that are none")
    return str(source)


def _end_of_v2(content: bytes) -> int | None:
    """The fixed part is looked at as soon as it is there: of what cannot be right no more is waited for."""
    if len(content) < V2_FIXED_BYTES:
        return None
    version, command = divmod(content[12], 16)
    family, transport = divmod(content[13], 16)
    end = V2_FIXED_BYTES + int.from_bytes(content[14:16])
    if version != 2:
        raise ProxyHeaderError(f"it is of version {version}, and only 1 and 2 are understood")
    if command not in {_LOCAL, _PROXY}:
        raise ProxyHeaderError(f"it has the command {command}, which there is not")
    if end > V2_MAX_BYTES:
        raise ProxyHeaderError(f"it has {end} bytes, and may have {V2_MAX_BYTES}")
    if command == _PROXY:
        if family not in _ADDRESS_BYTES or transport >= _TRANSPORTS:
            raise ProxyHeaderError(f"it names family {family} with transport {transport}, which there is not")
        if end < V2_FIXED_BYTES + _ADDRESS_BYTES[family]:
            raise ProxyHeaderError("it is too short for its addresses")
    return end if len(content) >= end else None


def _read_v2(header: bytes) -> str | None:
    if header[12] & 15 == _LOCAL:
        return None  # The front asks for itself, as for a health check. What stands behind is to be skipped.
    family = header[13] >> 4
    at = V2_FIXED_BYTES + _ADDRESS_BYTES[family]
    for kind, begin, end in _extensions(header, at):
        if kind == _CRC32C:
            _check_crc(header, begin, end)
    size = _IP_BYTES.get(family)
    return str(ipaddress.ip_address(header[V2_FIXED_BYTES : V2_FIXED_BYTES + size])) if size else None


def _extensions(header: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Type, begin and end of each of what follows the addresses (TLV)."""
    while at < len(header):
        begin = at + _TLV_HEAD.size
        if begin > len(header):
            raise ProxyHeaderError("it ends in the middle of an extension")
        kind, size = _TLV_HEAD.unpack_from(header, at)
        at = begin + size
        if at > len(header):
            raise ProxyHeaderError("it ends in the middle of an extension")
        yield kind, begin, at


def _check_crc(header: bytes, begin: int, end: int) -> None:
    if end - begin != _CRC_BYTES:
        raise ProxyHeaderError("its checksum has not four bytes")
    if calc_crc32c(header[:begin] + bytes(_CRC_BYTES) + header[end:]) != int.from_bytes(header[begin:end]):
        raise ProxyHeaderError("its checksum does not fit")
