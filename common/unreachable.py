"""Why a connection to a server cannot be made, in words for people."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl


def why_unreachable(error: Exception) -> str:
    """What an attempt to connect failed for, to be put in brackets behind an address."""
    if isinstance(error, socket.gaierror):
        return "its name is not known here"
    if isinstance(error, TimeoutError):
        return "no answer"
    if is_refused(error):
        return "nothing listens there"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        reason = getattr(error, "reason", None) or str(error)
        return f"it does not speak TLS as we do: {reason.replace('_', ' ').lower()}"
    numbers = _numbers(error)
    return " or ".join(map(os.strerror, numbers)) if numbers else " ".join(str(error).split())


def is_refused(error: Exception) -> bool:
    """Whether nobody listens there, at none of the addresses that a name has."""
    return _numbers(error) == [errno.ECONNREFUSED]


def _numbers(error: Exception) -> list[int]:
    """The different numbers (`errno`) of an error, or of those with each address that was tried."""
    number = getattr(error, "errno", None)
    # Of several addresses the event loop tells only in a text.
    numbers = [number] if number else map(int, re.findall(r"\[Errno (\d+)\]", str(error)))
    return list(dict.fromkeys(numbers))
