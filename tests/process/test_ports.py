"""Where the sockets of an ingress come from."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from bridge.process import given_sockets
from bridge.process.given_sockets import take_given_sockets
from bridge.process.handover import HandedChild, HandedSocket, Handover, take_handover
from bridge.process.ports import Port, take_port
from common.listening import bind

LOOPBACK = "127.0.0.1"


@pytest.fixture
def bound() -> Iterator[socket.socket]:
    with bind(LOOPBACK, 0) as made:
        yield made


def refuse(host: str, port: int) -> socket.socket:
    raise OSError(98, f"cannot listen on {host} port {port}: it is taken")


def test_what_was_handed_over_is_kept_while_the_settings_are_the_same(bound: socket.socket) -> None:
    taken = take_port(LOOPBACK, 80, refuse, handed=HandedSocket(os.dup(bound.fileno()), LOOPBACK, 80))
    with taken.socket:
        assert taken.socket.getsockname() == bound.getsockname()
        given = take_port("::", 81, refuse, handed=HandedSocket(os.dup(bound.fileno()), LOOPBACK, 80, is_given=True))
    with given.socket:
        assert given.is_given, "what others have bound does not follow the settings"


def test_another_address_is_taken_and_one_that_cannot_be_leaves_the_former(
    bound: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    port = bound.getsockname()[1]
    kept = take_port(LOOPBACK, 81, refuse, handed=HandedSocket(os.dup(bound.fileno()), LOOPBACK, 80))
    with kept.socket:
        assert (kept.port, kept.socket.getsockname()[1]) == (80, port), "so the next reload tries again"
        assert f"port 81: it is taken; 127.0.0.1 port {port} stays in use" in caplog.text
        handed = HandedSocket(os.dup(bound.fileno()), LOOPBACK, 80)
        taken = take_port(LOOPBACK, 0, bind, handed=handed)
    with taken.socket:
        assert taken.socket.getsockname()[1] != port
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(handed.descriptor)


def test_a_handover_is_read_once_and_an_older_program_may_have_written_it(
    bound: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = os.memfd_create("handover")
    listener = f'{{"descriptor":{bound.fileno()},"host":"h","port":1,"of_a_later_version":2}}'
    child = f'{{"number":0,"pid":5,"heartbeats":{bound.fileno()},"admin_socket":"s"}}'
    os.write(file, f'{{"listener":{listener},"children":[{child}]}}'.encode())
    monkeypatch.setenv("IM_BRIDGE_HANDOVER", str(file))
    socket_handed = HandedSocket(bound.fileno(), "h", 1)
    assert take_handover() == Handover(socket_handed, children=[HandedChild(0, 5, bound.fileno(), "s")])
    assert take_handover() is None
    assert not os.get_inheritable(bound.fileno())


@pytest.fixture
def given(bound: socket.socket, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """A socket that listens, given by whoever started this process."""
    bound.listen(1)
    monkeypatch.setattr(given_sockets, "FIRST", bound.fileno())
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    return bound


def test_a_socket_that_was_given_is_taken_once(given: socket.socket) -> None:
    (taken,) = take_given_sockets().values()
    assert taken.detach() == given.fileno()
    assert take_given_sockets() == {}


def test_sockets_that_were_given_to_another_process_are_not_ours(
    given: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    del given
    monkeypatch.setenv("LISTEN_PID", str(os.getpid() + 1))
    assert take_given_sockets() == {}


def test_one_may_be_for_the_admin_port_and_what_cannot_be_served_is_told(
    given: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTEN_FDNAMES", "admin")
    assert take_given_sockets().pop("admin").detach() == given.fileno()

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        monkeypatch.setattr(given_sockets, "FIRST", other.fileno())
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
        monkeypatch.setenv("LISTEN_FDS", "1")
        with pytest.raises(OSError, match="no socket that listens for TCP"):
            take_given_sockets()


def test_how_an_address_is_told(bound: socket.socket) -> None:
    assert Port(bound, "x", 0).address == f"127.0.0.1 port {bound.getsockname()[1]}"


def test_the_address_of_a_port_is_known_also_when_its_socket_is_closed() -> None:
    port = Port(socket.create_server((LOOPBACK, 0)), LOOPBACK, 0)
    address = port.address
    port.socket.close()
    assert port.address == address
    assert address.startswith(LOOPBACK)
