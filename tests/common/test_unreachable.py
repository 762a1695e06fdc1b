from __future__ import annotations

import errno
import socket
import ssl

import pytest

from common.unreachable import why_unreachable


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (socket.gaierror(-2, "Name or service not known"), "its name is not known here"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"), "nothing listens there"),
        (
            OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 111] Connect call failed"),
            "nothing listens there",
        ),
        (OSError(errno.EHOSTUNREACH, "Connect call failed ('10.0.0.1', 1)"), "No route to host"),
        (OSError("Multiple exceptions: [Errno 111] x, [Errno 113] y"), "Connection refused or No route to host"),
        (TimeoutError(), "no answer"),
        (TimeoutError(errno.ETIMEDOUT, "Connect call failed"), "no answer"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)"), "it does not speak TLS"),
    ],
)
def test_a_failure_to_connect_is_told_without_what_python_says_of_it(error: OSError, told: str) -> None:
    assert why_unreachable(error).startswith(told)
