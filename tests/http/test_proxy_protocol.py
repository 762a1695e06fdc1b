"""Headers of the PROXY protocol: what is believed, and that nothing else is."""

from __future__ import annotations

import socket
import struct
from ipaddress import ip_address

import pytest
from aiokafka.record.util import calc_crc32c

from bridge.http.proxy_protocol import V2_BEGINNING, V2_MAX_BYTES, ProxyHeader, ProxyHeaderError

REQUEST = b"POST / HTTP/1.1\r\n\r\n"


def v2(content: bytes, *, command: int = 0x21, family: int = 0x11, size: int | None = None) -> bytes:
    """A header of version 2."""
    return V2_BEGINNING + struct.pack("!BBH", command, family, len(content) if size is None else size) + content


def of(source: str, extensions: bytes = b"") -> bytes:
    """The header of version 2 that names this source."""
    address = ip_address(source)
    content = address.packed + bytes(len(address.packed)) + struct.pack("!HH", 51234, 443) + extensions
    return v2(content, family=0x11 if address.version == 4 else 0x21)


def extension(kind: int, content: bytes) -> bytes:
    return struct.pack("!BH", kind, len(content)) + content


def with_checksum(source: str, *, error: int = 0) -> bytes:
    header = of(source, extension(4, b"pad") + extension(3, bytes(4)) + extension(2, b"im.example.org"))
    begin = header.index(struct.pack("!BH", 3, 4)) + 3
    checksum: bytes = (calc_crc32c(header) ^ error).to_bytes(4)
    return header[:begin] + checksum + header[begin + 4 :]


GOOD = {
    "v1, IPv4": (b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 443\r\n", "203.0.113.7"),
    "v1, IPv6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 443\r\n", "2001:db8::7"),
    "v1, the longest": (
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    ),
    "v1, unknown": (b"PROXY UNKNOWN\r\n", None),
    "v1, unknown, the longest": (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", None),
    "v1, port 0": (b"PROXY TCP4 203.0.113.7 192.0.2.1 0 443\r\n", "203.0.113.7"),
    "v2, IPv4": (of("203.0.113.7"), "203.0.113.7"),
    "v2, IPv6": (of("2001:db8::7"), "2001:db8::7"),
    "v2, UDP": (v2(bytes([203, 0, 113, 7]) + bytes(8), family=0x12), "203.0.113.7"),
    "v2, extensions": (of("203.0.113.7", extension(4, b"") + extension(0xEA, b"\x01vpce-1")), "203.0.113.7"),
    "v2, checksum": (with_checksum("203.0.113.7"), "203.0.113.7"),
    "v2, the largest": (of("203.0.113.7", extension(4, bytes(V2_MAX_BYTES - 16 - 12 - 3))), "203.0.113.7"),
    "v2, local": (v2(b"", command=0x20, family=0), None),
    "v2, local with rubbish behind": (v2(b"whatever", command=0x20, family=0xFF), None),
    "v2, unspecified": (v2(b"", family=0), None),
    "v2, Unix": (v2(b"/run/a".ljust(108, b"\0") + bytes(108), family=0x31), None),
}

BAD = {
    "HTTP": (REQUEST, "does not begin"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", "does not begin"),
    "small letters": (b"proxy TCP4 203.0.113.7 192.0.2.1 1 2\r\n", "does not begin"),
    "v1, too long": (b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n", "no end within 107 bytes"),
    "v1, endless": (b"PROXY TCP4 " + b"1" * 200, "no end within 107 bytes"),
    "v1, UDP": (b"PROXY UDP4 203.0.113.7 192.0.2.1 1 2\r\n", "another protocol"),
    "v1, nothing": (b"PROXY \r\n", "another protocol"),
    "v1, two spaces": (b"PROXY TCP4  203.0.113.7 192.0.2.1 1 2\r\n", "one space"),
    "v1, no ports": (b"PROXY TCP4 203.0.113.7 192.0.2.1\r\n", "two ports"),
    "v1, more": (b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2 3\r\n", "two ports"),
    "v1, family": (b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n", "none of TCP4"),
    "v1, IPv4 as IPv6": (b"PROXY TCP6 203.0.113.7 192.0.2.1 1 2\r\n", "none of TCP6"),
    "v1, leading zero": (b"PROXY TCP4 203.0.113.07 192.0.2.1 1 2\r\n", "none of TCP4"),
    "v1, name": (b"PROXY TCP4 localhost 192.0.2.1 1 2\r\n", "none of TCP4"),
    "v1, port": (b"PROXY TCP4 203.0.113.7 192.0.2.1 65536 2\r\n", "ports"),
    "v1, port with sign": (b"PROXY TCP4 203.0.113.7 192.0.2.1 +1 2\r\n", "ports"),
    "v1, digits of others": ("PROXY TCP4 203.0.113.7 192.0.2.1 \u0661 2\r\n".encode(), "ports"),
    "v1, bare line end": (b"PROXY TCP4 203.0.113.7 192.0.2.1 1 2\n" + REQUEST, "two ports"),
    "v2, version 1": (v2(bytes(12), command=0x11), "version 1"),
    "v2, version 3": (v2(bytes(12), command=0x31), "version 3"),
    "v2, command": (v2(bytes(12), command=0x22), "command 2"),
    "v2, family": (v2(bytes(12), family=0x41), "family 4"),
    "v2, transport": (v2(bytes(12), family=0x13), "transport 3"),
    "v2, too large": (v2(b"", size=V2_MAX_BYTES - 15), f"may have {V2_MAX_BYTES}"),
    "v2, largest there is": (v2(b"", size=65535), "and may have"),
    "v2, short IPv4": (v2(bytes(11)), "too short"),
    "v2, short IPv6": (v2(bytes(35), family=0x21), "too short"),
    "v2, short Unix": (v2(bytes(12), family=0x31), "too short"),
    "v2, checksum": (with_checksum("203.0.113.7", error=1), "checksum does not fit"),
    "v2, short checksum": (of("203.0.113.7", extension(3, b"abc")), "four bytes"),
    "v2, cut extension": (of("203.0.113.7", b"\x04\x00"), "middle of an extension"),
    "v2, long extension": (of("203.0.113.7", b"\x04\x00\x09abc"), "middle of an extension"),
}


def read(data: bytes) -> tuple[ProxyHeader, int]:
    header = ProxyHeader()
    return header, header.read(data)


def read_by_bytes(data: bytes) -> None:
    header = ProxyHeader()
    for at in range(len(data)):
        header.read(data[at : at + 1])
        assert not header.is_whole


@pytest.mark.parametrize("name", GOOD)
def test_a_header_ends_where_it_ends_and_names_its_source(name: str) -> None:
    content, source = GOOD[name]

    header, size = read(content + REQUEST)

    assert (header.is_whole, header.source, size) == (True, source, len(content))


@pytest.mark.parametrize("name", GOOD)
def test_a_header_may_be_cut_anywhere(name: str) -> None:
    content, source = GOOD[name]
    for at in [*range(1, min(len(content), 130)), len(content) - 1]:
        header = ProxyHeader()
        assert header.read(content[:at]) == at
        assert not header.is_whole
        assert header.read(content[at:] + REQUEST) == len(content) - at
        assert (header.is_whole, header.source) == (True, source)


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_header_is_refused_whole_and_byte_by_byte(name: str) -> None:
    content, told = BAD[name]
    with pytest.raises(ProxyHeaderError, match=told):
        read(content)

    with pytest.raises(ProxyHeaderError, match=told):
        read_by_bytes(content)


def test_what_is_checked_here_is_what_sockets_write() -> None:
    assert of("203.0.113.7")[16:20] == socket.inet_pton(socket.AF_INET, "203.0.113.7")
    assert calc_crc32c(b"123456789") == 0xE3069283  # of RFC 3720, B.4 and the catalogues of checksums
