"""Which addresses a socket listens on."""

from __future__ import annotations

import socket

import pytest

from common.listening import bind, listen, listen_on


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this system has no IPv6")
def test_the_address_of_all_serves_ipv6_and_ipv4() -> None:
    with listen("::", 0, backlog=2) as listener:
        port = listener.getsockname()[1]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, port), 5).close()


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1 port 80 for tests: "):
        listen("192.0.2.1", 80, backlog=1, purpose=" for tests")


def test_a_name_that_nobody_knows_is_told_so() -> None:
    with pytest.raises(OSError, match=r"no-such-host\.invalid port 80: its name is not known here"):
        listen("no-such-host.invalid", 80, backlog=1)


def test_a_port_that_is_taken_is_told_so() -> None:
    with listen("127.0.0.1", 0, backlog=1) as first:
        port = first.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port}: it is taken"):
            listen("127.0.0.1", port, backlog=1)


def test_a_port_that_somebody_else_took_between_bind_and_listen_is_named() -> None:
    with (
        bind("127.0.0.1", 0) as bound,
        listen(*bound.getsockname(), backlog=1),
        pytest.raises(OSError, match=f"127.0.0.1 port {bound.getsockname()[1]}: it is taken"),
    ):
        listen_on(bound, backlog=1)


def test_on_a_port_that_is_bound_nobody_is_answered_until_somebody_listens() -> None:
    with bind("127.0.0.1", 0) as bound:
        address = bound.getsockname()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, 5)
        bound.listen(1)
        socket.create_connection(address, 5).close()
        with pytest.raises(OSError, match=f"port {address[1]} for tests: it is taken"):
            bind(*address, purpose=" for tests")
