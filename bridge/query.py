"""The query string of a callback: which app, which command, and what proves that it is authentic."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote_plus

import msgspec

MAX_PARAMETERS = 200
"""Further ones are not looked at: anybody can send a head of thousands, before he has proved anything."""
MAX_NAME_CHARS = 256
"""Of a command and a platform. What is beyond is cut off: both are keys of what is remembered in many places."""
POST = "POST "
CLIENT_IP = "&ClientIP="
"""What comes before the only parameter that differs between the callbacks of one command in one second."""
MAX_REMEMBERED = 256
MAX_REMEMBERED_CHARS = 1024
"""A longer query is read anew each time. The usual ones have 220."""


class Query(msgspec.Struct, frozen=True, gc=False):
    """What counts of the parameters of a callback's URL. Names have no case; of a repeated one the first counts, and of
    all the first MAX_PARAMETERS. What is absent is an empty string."""

    line: str
    """The request line as it came, without the version: method, path and query."""
    app_id: str
    """SdkAppid: decimal digits."""
    command: str
    """The callback command, its first MAX_NAME_CHARS; the old call webhook names it `command`."""
    platform: str
    """OptPlatform, its first MAX_NAME_CHARS."""
    client_ip: str
    """ClientIP."""
    proof: tuple[str, str, str]
    """SdkAppid, Sign and RequestTime: what proves that it is authentic."""
    is_plain: bool
    """Whether it is that of a POST, its path begins with a slash, and path and query have visible characters of ASCII
    alone, as a target should."""

    @property
    def raw(self) -> str:
        """The query as it came, without the question mark."""
        return self.line.partition("?")[2]


def parse_query(query: str) -> Query:
    """Read a raw query string, see `query_of`."""
    return query_of(f"?{query}")


def query_of(line: str) -> Query:
    """Read the query in a request line, given without the version. `urllib.parse.parse_qsl` takes five times as long,
    and serves no case here any better.

    All but ClientIP is read once, however many callbacks have it: it saves a tenth of all that a callback takes in our
    own code. What is remembered is what was read, and says of nothing that it is authentic.
    """
    before, _, behind = line.partition(CLIENT_IP)
    if not behind or len(line) > MAX_REMEMBERED_CHARS:
        return _read(line)
    client_ip, _, after = behind.partition("&")
    rest = _read_rest(before, after)
    if rest is None:
        return _read(line)
    is_plain = rest.is_plain and client_ip.isascii() and client_ip.isprintable() and " " not in client_ip
    if "%" in client_ip or "+" in client_ip:
        client_ip = unquote_plus(client_ip)
    return Query(line, rest.app_id, rest.command, rest.platform, client_ip, rest.proof, is_plain)


@lru_cache(MAX_REMEMBERED)
def _read_rest(before: str, after: str) -> Query | None:
    """What stands around ClientIP; None where another ClientIP may count, or not all parameters do."""
    rest = f"{before}&{after}"
    if "?" not in before or rest.count("&") + 2 > MAX_PARAMETERS or "clientip" in unquote_plus(before).lower():
        return None
    return _read(rest)


def _read(line: str) -> Query:
    query = line.partition("?")[2]
    parameters: dict[str, str] = {}
    is_escaped = "%" in query or "+" in query
    for pair in query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = pair.partition("=")
        parameters.setdefault((unquote_plus(name) if is_escaped else name).lower(), value)

    def get(name: str) -> str:
        value = parameters.get(name, "")
        return unquote_plus(value) if is_escaped else value

    app_id = get("sdkappid")
    return Query(
        line=line,
        app_id=app_id,
        command=(get("callbackcommand") or get("command"))[:MAX_NAME_CHARS],
        platform=get("optplatform")[:MAX_NAME_CHARS],
        client_ip=get("clientip"),
        proof=(app_id, get("sign"), get("requesttime")),
        is_plain=_is_plain(line),
    )


def _is_plain(line: str) -> bool:
    target = line.removeprefix(POST)
    return target != line and target.startswith("/") and target.isascii() and target.isprintable() and " " not in target
