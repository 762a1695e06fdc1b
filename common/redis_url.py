"""Whether an address of Redis is one that the client understands as it is meant: much of it, it would just ignore."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

FORM = "write redis://user:password@host:6379/0, rediss://… for TLS, or unix:///path/of/the.sock?db=0"
OPTIONS = frozenset(
    {
        "client_name",
        "db",
        "health_check_interval",
        "max_connections",
        "password",
        "protocol",
        "retry_on_timeout",
        "socket_connect_timeout",
        "socket_keepalive",
        "socket_timeout",
        "ssl_ca_certs",
        "ssl_ca_path",
        "ssl_cert_reqs",
        "ssl_certfile",
        "ssl_check_hostname",
        "ssl_ciphers",
        "ssl_keyfile",
        "ssl_password",
        "username",
    }
)
"""What may stand behind the `?`: of the client's, what can be written there and does not change what we read."""


def check_redis_url(url: str) -> None:
    """See that an address leads to a Redis.

    Raises:
        ValueError: it does not; the message says what is wrong, and shows no password.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"the address cannot be read ({error}): {FORM}") from None
    if parts.scheme not in {"redis", "rediss", "unix"} or not url.lower().startswith(f"{parts.scheme}://"):
        raise ValueError(f"the address must begin with redis://, rediss:// or unix://: {FORM}")
    try:
        port = parts.port
    except ValueError as error:
        raise ValueError(
            "the port of the address is no number up to 65535. Characters such as `/`, `#` or `?` in a password must "
            "be written as %2F, %23 or %3F"
        ) from error
    if parts.fragment or "#" in url:
        raise ValueError("the address has a `#`: in a password it must be written as %23")
    if re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError(f"the address has spaces or control characters: {FORM}")
    if parts.scheme == "unix":
        if not parts.path.strip("/") or parts.hostname:
            raise ValueError("unix:// needs the path of a socket, with three slashes: unix:///run/redis.sock?db=0")
    else:
        _check_place(parts, port)
    _check_options(url, parts)


def _check_place(parts: SplitResult, port: int | None) -> None:
    if not parts.hostname:
        raise ValueError(f"the address has no host: {FORM}")
    if port == 0:
        raise ValueError("the port of the address is 0: Redis has mostly 6379")
    if re.search(r"[,;]", parts.netloc.rpartition("@")[2]):
        raise ValueError(f"the address names several hosts; a single Redis or Valkey is needed: {FORM}")
    database = unquote(parts.path).strip("/")
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError(f"the database {database!r} at the end of the address is no number: {FORM}")


def _check_options(url: str, parts: SplitResult) -> None:
    # Loaded where it is needed only.
    from redis.asyncio.connection import Connection, parse_url  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    given = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    if unknown := [name for name in given if name not in OPTIONS]:
        raise ValueError(
            f"the address has the unknown option {unknown[0][:60]!r}; known are {', '.join(sorted(OPTIONS))}"
        )
    try:
        options: dict[str, Any] = {**parse_url(url)}
        kind = options.pop("connection_class", Connection)
        options.pop("max_connections", None)
        kind(**options)
    except (TypeError, ValueError, RedisError) as error:
        raise ValueError(f"the options of the address do not fit: {error}") from None
    if int(options.get("db", 0)) < 0:
        raise ValueError(f"the database of the address is negative: {FORM}")
