"""The query string of a callback: which app, which command, and what proves that it is authentic."""

from __future__ import annotations

from urllib.parse import unquote_plus

import msgspec

MAX_PARAMETERS = 200
"""Further ones are not looked at: anybody can send a head of thousands, before he has proved anything."""


class Query(msgspec.Struct, frozen=True, gc=False):
    """The parameters of a callback's URL. Names have no case; of a repeated name the first counts, and of all the first
    MAX_PARAMETERS."""

    parameters: dict[str, str]
    """Name in lower case → value."""
    raw: str
    """As it came, without the question mark."""
    app_id: str
    """SdkAppid: decimal digits."""
    command: str
    """The callback command; the old call webhook names it `command`. Empty where the URL names none."""

    def get(self, name: str) -> str:
        """Value of the parameter with this lower-case name, or an empty string."""
        return self.parameters.get(name, "")


def parse_query(query: str) -> Query:
    """Read a raw query string. `urllib.parse.parse_qsl` takes five times as long and serves no case here any better."""
    parameters: dict[str, str] = {}
    is_escaped = "%" in query or "+" in query
    for pair in query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = pair.partition("=")
        if is_escaped:
            name, value = unquote_plus(name), unquote_plus(value)
        parameters.setdefault(name.lower(), value)
    get = parameters.get
    return Query(parameters, query, get("sdkappid", ""), get("callbackcommand") or get("command", ""))


def command_in_path(path: str) -> str:
    """The command that a path with its query names, empty where it names none."""
    return parse_query(path.partition("?")[2]).command
