"""The query string of a callback: which app, which command, and what proves that it is authentic."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote_plus

import msgspec

MAX_PARAMETERS = 200
"""Further ones are not looked at: anybody can send a head of thousands, before he has proved anything."""
MAX_NAME_CHARS = 256
"""Of a command and a platform. What is beyond is cut off: both are keys of what is remembered in many places."""
POST = b"POST "
CLIENT_IP = b"&ClientIP="
"""What comes before the only parameter that differs between the callbacks of one command in one second."""
ADDRESS = b"0123456789abcdefABCDEF.:"
MAX_ADDRESS_CHARS = 45
"""Of an address of IPv6 that holds one of IPv4."""
MAX_REMEMBERED = 256
MAX_REMEMBERED_BYTES = 1024
"""A longer query is read anew each time. The usual ones have 220."""


class Common(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What all queries say that differ in their ClientIP alone. Each is read once, however many callbacks have it.

    It is compared by identity, so that what was found out for one is found again quickly.
    """

    before: bytes
    """The request line up to the address; as a whole, where it is not cut there."""
    after: bytes
    """What comes behind the address."""
    app_id: str
    """SdkAppid: decimal digits."""
    command: str
    """The callback command, its first MAX_NAME_CHARS; the old call webhook names it `command`."""
    platform: str
    """OptPlatform, its first MAX_NAME_CHARS."""
    proof: tuple[str, str, str]
    """SdkAppid, Sign and RequestTime: what proves that it is authentic."""
    is_plain: bool
    """Whether it is that of a POST, its path begins with a slash, and path and query have visible characters of ASCII
    alone, as a target should."""


class Query(msgspec.Struct, frozen=True, eq=False, gc=False):
    """What counts of the parameters of a callback's URL. Names have no case; of a repeated one the first counts, and of
    all the first MAX_PARAMETERS. What is absent is an empty string."""

    common: Common
    address: str
    """ClientIP, where the line is cut there: an address, as nearly always. Else an empty string."""
    client_ip: str
    """ClientIP."""

    @property
    def app_id(self) -> str:
        """See `Common`, as of all that follows. What has to be quick asks that."""
        return self.common.app_id

    @property
    def command(self) -> str:
        """The callback command."""
        return self.common.command

    @property
    def platform(self) -> str:
        """OptPlatform."""
        return self.common.platform

    @property
    def line(self) -> str:
        """The request line as it came, without the version: method, path and query."""
        return _text(self.common.before + self.address.encode() + self.common.after)

    @property
    def raw(self) -> str:
        """The query as it came, without the question mark."""
        return self.line.partition("?")[2]


def parse_query(query: str) -> Query:
    """Read a raw query string, see `query_in`."""
    return query_of(f"?{query}")


def query_of(line: str) -> Query:
    """Read the query in a request line, see `query_in`. What of it was no UTF-8 may be halves of surrogate pairs."""
    return query_in(line.encode(errors="surrogatepass"))


def query_in(line: bytes) -> Query:
    """Read the query in a request line: method, path and query, without the version.

    What nearly all have in common is remembered: it is what was read, and says of nothing that it is authentic. To read
    all of each query would take 41,000 instructions, nearly half of what a callback takes otherwise.
    `urllib.parse.parse_qsl` takes five times as long, and serves no case here any better.

    Raises:
        UnicodeDecodeError: it is not in UTF-8.
    """
    before, _, behind = line.partition(CLIENT_IP)
    address = behind.partition(b"&")[0]
    if not 0 < len(address) <= MAX_ADDRESS_CHARS or address.strip(ADDRESS) or len(line) > MAX_REMEMBERED_BYTES:
        return _read(line)
    common = _common(before, behind[len(address) :])
    if common is None:
        return _read(line)
    client_ip = address.decode()
    return Query(common, client_ip, client_ip)


@lru_cache(MAX_REMEMBERED)
def _common(before: bytes, after: bytes) -> Common | None:
    """What lines say that have this before `&ClientIP=` and this behind the address; None where another ClientIP may
    count, or not all parameters do."""
    rest = before + after
    if b"?" not in before or rest.count(b"&") + 2 > MAX_PARAMETERS or "clientip" in unquote_plus(_text(before)).lower():
        return None
    return msgspec.structs.replace(_read(rest).common, before=before + CLIENT_IP, after=after)


def _read(line: bytes) -> Query:
    query = _text(line).partition("?")[2]
    parameters: dict[str, str] = {}
    is_escaped = "%" in query or "+" in query
    for pair in query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = pair.partition("=")
        parameters.setdefault((unquote_plus(name) if is_escaped else name).lower(), value)

    def get(name: str) -> str:
        value = parameters.get(name, "")
        return unquote_plus(value) if is_escaped else value

    app_id = get("sdkappid")
    common = Common(
        before=line,
        after=b"",
        app_id=app_id,
        command=(get("callbackcommand") or get("command"))[:MAX_NAME_CHARS],
        platform=get("optplatform")[:MAX_NAME_CHARS],
        proof=(app_id, get("sign"), get("requesttime")),
        is_plain=_is_plain(line),
    )
    return Query(common, "", get("clientip"))


def _is_plain(line: bytes) -> bool:
    target = _text(line.removeprefix(POST))
    return (
        line.startswith(POST)
        and target.startswith("/")
        and target.isascii()
        and target.isprintable()
        and " " not in target
    )


def _text(line: bytes) -> str:
    return line.decode(errors="surrogatepass")
