"""Addresses of HTTP servers among the settings."""

from __future__ import annotations

import re
from urllib.parse import urlsplit


def check_http_url(url: str) -> str:
    """See that a text is the address of an HTTP server, and give it back.

    Raises:
        ValueError: it is not; the message says what is wrong.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"the address cannot be read ({error}): write http://host:port/path") from None
    if parts.scheme not in {"http", "https"}:
        raise ValueError("the address must begin with http:// or https://")
    if not parts.hostname or port == 0 or re.search(r"[\x00-\x20\x7f\\]", url):
        raise ValueError(
            "the address has no host, or characters that an address cannot have: write http://host:port/path"
        )
    try:
        parts.hostname.encode("idna")
    except UnicodeError:
        raise ValueError("the name of the address's host has an empty part, or a part that is too long") from None
    if parts.fragment or url.endswith("#"):
        raise ValueError(
            "the address has a `#`, and what is behind it is never sent: write %23 for a `#` that is meant"
        )
    return url
