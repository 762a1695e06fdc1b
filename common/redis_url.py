"""Whether an address of Redis is one that the client understands as it is meant: much of it, it would just ignore."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
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
TIME_LIMITS = frozenset({"socket_connect_timeout", "socket_timeout"})
FILES = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})


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
    if not re.fullmatch(r"[\w.-]+|[\w.:%-]*:[\w.:%-]*", parts.hostname):
        raise ValueError(f"{parts.hostname[:60]!r} is no name of a host: {FORM}")
    database = unquote(parts.path).strip("/")
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError(f"the database {database!r} at the end of the address is no number: {FORM}")


def _check_options(url: str, parts: SplitResult) -> None:
    # Loaded where it is needed only.
    from redis.asyncio.connection import ConnectionPool  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    given = Counter(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    given["db"] += parts.scheme != "unix" and bool(parts.path.strip("/"))
    if unknown := [name for name in +given if name not in OPTIONS]:
        raise ValueError(
            f"the address has the unknown option {unknown[0][:60]!r}; known are {', '.join(sorted(OPTIONS))}"
        )
    if repeated := [name for name, count in given.items() if count > 1]:
        raise ValueError(f"the address says {repeated[0]} twice: only one of them would count")
    try:
        pool = ConnectionPool.from_url(url)
        pool.make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError, RedisError) as error:
        raise ValueError(f"the options of the address do not fit: {error}") from None
    options: dict[str, Any] = pool.connection_kwargs
    if int(options.get("db", 0)) < 0:
        raise ValueError(f"the database of the address is negative: {FORM}")
    for name in TIME_LIMITS & options.keys():
        if not options[name] > 0:
            raise ValueError(f"the option {name} is no time limit: it must be more than 0 seconds")
    for name in FILES & options.keys():
        if not Path(options[name]).is_file():
            raise ValueError(f"the option {name} names {options[name]}, which is no file here")
