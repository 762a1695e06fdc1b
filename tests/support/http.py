"""One plain HTTP request at a time, for asserting on replies; `load` is for many."""

from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

import orjson


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers (names in lower case) and body of a reply."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The parsed body; raises orjson.JSONDecodeError."""
        return orjson.loads(self.body)


def request(
    method: str, url: str, body: bytes | None = None, *, headers: dict[str, str] | None = None, timeout: float = 5
) -> Reply:
    """Send one request over a connection of its own. Raises OSError or HTTPException when there is no reply."""
    parts = urlsplit(url)
    assert parts.hostname
    connection = HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method, f"{parts.path or '/'}?{parts.query}".removesuffix("?"), body, headers or {})
        reply = connection.getresponse()
        return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
    finally:
        connection.close()


def answers(url: str, status: int = 200) -> bool:
    """Whether a GET of `url` is answered with `status` right now."""
    try:
        return request("GET", url, timeout=1).status == status
    except (OSError, HTTPException):
        return False
