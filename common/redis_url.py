"""Where the badges are: one Redis, a Redis Cluster, or what Redis Sentinels watch; and whether its address is one.

The client would just ignore much that stands in an address. So every part is looked at here.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

FORM = (
    "write redis://user:password@host:6379/0, rediss://… for TLS, unix:///path/of/the.sock?db=0, "
    "redis+cluster://host:6379,other:6379 for a cluster, or redis+sentinel://host:26379,other:26379/service"
)
OPTIONS = frozenset(
    {
        "client_name",
        "cluster",
        "db",
        "health_check_interval",
        "max_connections",
        "password",
        "protocol",
        "retry_on_timeout",
        "sentinel_password",
        "sentinel_username",
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
OWN_OPTIONS = frozenset({"cluster", "sentinel_password", "sentinel_username"})
"""Those that are ours, and not the client's."""
TIME_LIMITS = frozenset({"socket_connect_timeout", "socket_timeout"})
FILES = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})

Topology = Literal["single", "cluster", "sentinel"]
_SCHEMES: dict[str, tuple[str, Topology]] = {
    "redis": ("redis", "single"),
    "rediss": ("rediss", "single"),
    "unix": ("unix", "single"),
    "redis+cluster": ("redis", "cluster"),
    "rediss+cluster": ("rediss", "cluster"),
    "redis+sentinel": ("redis", "sentinel"),
    "rediss+sentinel": ("rediss", "sentinel"),
}
_PORTS: dict[Topology, int] = {"single": 6379, "cluster": 6379, "sentinel": 26379}


class RedisAddress(NamedTuple):
    """What an address says."""

    topology: Topology
    nodes: tuple[tuple[str, int], ...]
    """Hosts and ports of the servers, of the nodes to begin with, or of the Sentinels; none of a Unix socket."""
    service: str
    """What the Sentinels call the set of servers; else empty."""
    url: str
    """The address in the client's own form, as of the first node alone."""
    sentinel_user: str | None
    sentinel_password: str | None

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.url.startswith("rediss:")


def parse_redis_url(url: str) -> RedisAddress:
    """What an address says, once it is found to be one. Files that it names need not be there.

    Raises:
        ValueError: it is none; the message says what is wrong, and shows no password.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"the address cannot be read ({error}): {FORM}") from None
    if parts.scheme not in _SCHEMES or not url.lower().startswith(f"{parts.scheme}://"):
        raise ValueError(f"the address must begin with redis://, rediss:// or unix://: {FORM}")
    if parts.fragment or "#" in url:
        raise ValueError("the address has a `#`: in a password it must be written as %23")
    if re.search(r"[\x00-\x20\x7f]", url):
        raise ValueError(f"the address has spaces or control characters: {FORM}")
    options = parse_qsl(parts.query, keep_blank_values=True)
    _check_names(options)
    if parts.scheme == "unix":
        if not parts.path.strip("/") or parts.netloc:
            raise ValueError("unix:// needs the path of a socket, with three slashes: unix:///run/redis.sock?db=0")
        _check_client_options(url, parts.scheme, parts.path, options)
        return RedisAddress("single", (), "", url, None, None)
    return _address(parts, options)


def check_redis_url(url: str) -> None:
    """See that an address leads to a Redis, and that the files which it names can be used.

    Raises:
        ValueError: it does not; the message says what is wrong, and shows no password.
    """
    if problem := tls_file_problem(parse_redis_url(url)):
        raise ValueError(problem)


def tls_file_problem(address: RedisAddress) -> str:
    """What is wrong now with the files that an address names for TLS, or empty: they come and go while we run."""
    if not address.is_tls:
        return ""
    # Loaded where it is needed only.
    from redis.asyncio.connection import ConnectionPool, SSLConnection  # noqa: PLC0415

    pool = ConnectionPool.from_url(address.url)
    for name in sorted(FILES & pool.connection_kwargs.keys()):
        path = pool.connection_kwargs[name]
        try:
            is_there = Path(path).is_file()
        except PermissionError:
            return f"the option {name} names {path}, which we may not read"
        if not is_there:
            return f"the option {name} names {path}, which is no file here"
    connection = pool.make_connection()  # type: ignore[no-untyped-call]
    assert isinstance(connection, SSLConnection)
    try:
        connection.ssl_context.get()
    except (OSError, TypeError, ValueError) as error:
        names = " and ".join(sorted(name for name in pool.connection_kwargs if name.startswith("ssl_")))
        return f"what {names} of the address name cannot be used: {getattr(error, 'reason', None) or error}"
    return ""


def _address(parts: SplitResult, options: list[tuple[str, str]]) -> RedisAddress:
    scheme, topology = _SCHEMES[parts.scheme]
    credentials, at, places = parts.netloc.rpartition("@")
    hosts = [one for one in re.split("[,;]", places) if one]
    if topology == "single" and (len(hosts) > 1 or _is_on(options, "cluster")):
        topology = "cluster"
    if not hosts:
        raise ValueError(f"the address has no host: {FORM}")
    nodes = tuple(_node(one, _PORTS[topology]) for one in hosts)
    service, database = _path(parts.path, topology)
    given = dict(options)
    if topology != "sentinel" and (given.keys() & {"sentinel_username", "sentinel_password"}):
        raise ValueError("sentinel_username and sentinel_password belong to an address redis+sentinel://…")
    if topology == "cluster" and (database.strip("0") or given.get("db", "").strip("0")):
        raise ValueError("a cluster has the database 0 only: leave it out of the address")
    own = [(name, value) for name, value in options if name not in OWN_OPTIONS]
    path = f"/{database}" if database else ""
    host, port = nodes[0]
    place = f"{credentials}{at}{_shown_host(host)}:{port}"
    plain = urlunsplit((scheme, place, path, urlencode(own), ""))
    _check_client_options(plain, scheme, path, own)
    return RedisAddress(topology, nodes, service, plain, given.get("sentinel_username"), given.get("sentinel_password"))


def _path(path: str, topology: Topology) -> tuple[str, str]:
    """Service and database of the path of an address, each empty where it is not named."""
    words = unquote(path).strip("/").split("/") if path.strip("/") else []
    service = ""
    if topology == "sentinel":
        if not words:
            raise ValueError(f"the address names no service, as the Sentinels call it, behind the hosts: {FORM}")
        service = words.pop(0)
    database = "/".join(words)
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError(f"the database {database!r} at the end of the address is no number: {FORM}")
    return service, database


def _node(place: str, default_port: int) -> tuple[str, int]:
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", place)
    if bracketed:
        host, port = bracketed[1], bracketed[2]
    else:
        host, colon, rest = place.partition(":")
        port = rest if colon else None
    if port in (None, ""):
        number = default_port
    elif port.isascii() and port.isdigit() and int(port) <= 65535:
        number = int(port)
    else:
        raise ValueError(
            "the port of the address is no number up to 65535. Characters such as `/`, `#` or `?` in a password must "
            "be written as %2F, %23 or %3F"
        )
    if number == 0:
        raise ValueError("the port of the address is 0: Redis has mostly 6379")
    if not host:
        raise ValueError(f"the address has no host: {FORM}")
    if not re.fullmatch(r"[\w.-]+|[\w.:%-]*:[\w.:%-]*", host):
        raise ValueError(f"{host[:60]!r} is no name of a host: {FORM}")
    return host, number


def _shown_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_on(options: list[tuple[str, str]], name: str) -> bool:
    value = dict(options).get(name)
    if value is None or value.lower() in {"false", "0", "no"}:
        return False
    if value.lower() in {"true", "1", "yes"}:
        return True
    raise ValueError(f"the option {name} is neither true nor false")


def _check_names(options: list[tuple[str, str]]) -> None:
    if unknown := [name for name, _ in options if name not in OPTIONS]:
        raise ValueError(
            f"the address has the unknown option {unknown[0][:60]!r}; known are {', '.join(sorted(OPTIONS))}"
        )


def _check_client_options(url: str, scheme: str, path: str, options: list[tuple[str, str]]) -> None:
    # Loaded where it is needed only.
    from redis.asyncio.connection import ConnectionPool  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    counts = Counter(name for name, _ in options)
    counts["db"] += scheme != "unix" and bool(path.strip("/"))
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise ValueError(f"the address says {repeated[0]} twice: only one of them would count")
    try:
        pool = ConnectionPool.from_url(url)
        pool.make_connection()  # type: ignore[no-untyped-call]
    except (TypeError, ValueError, RedisError) as error:
        raise ValueError(f"the options of the address do not fit: {error}") from None
    given: dict[str, Any] = pool.connection_kwargs
    if int(given.get("db", 0)) < 0:
        raise ValueError(f"the database of the address is negative: {FORM}")
    for name in TIME_LIMITS & given.keys():
        if not given[name] > 0:
            raise ValueError(f"the option {name} is no time limit: it must be more than 0 seconds")
