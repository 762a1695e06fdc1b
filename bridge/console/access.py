"""Who may look, and who may change something.

- A request must name a host of ours (`Host`): a page elsewhere whose name leads here by DNS is refused.
- From this machine (or BRIDGE_CONSOLE_LOOK_FROM), under one of its names and past no proxy, whoever asks may look.
- Whoever has signed in with BRIDGE_CONSOLE_TOKEN may look from anywhere, and change things. The cookie is sent by
  pages of this origin only (SameSite=Strict), and no script reads it (HttpOnly).
- What changes something must say that a page of ours sent it: by `Origin` where there is one, by a header that no form
  can set, and by a body of a type that no form can send.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, web

from common.networks import Address, IPNetwork, unmapped

SESSION_S = 12 * 3600
MOST_SESSIONS = 100
WRONG_TOKEN_S = 0.5
"""So long a wrong token is thought about."""
MOST_SIGNING_IN = 16
MOST_SIGNING_IN_OF_ADDRESS = 4
"""Of one address: who guesses there keeps nobody elsewhere from signing in."""
OWN_HEADER = "X-Im-Bridge-Console"
COOKIE = "im_bridge_console"
_FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via")
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

Right = Literal["none", "look", "change"]


class TooManySignInsError(Exception):
    """Others are signing in, or guessing, right now."""


class Access:
    """Decides what a request may do.

    Args:
        token: of whoever may change things; None: nobody may.
        hosts: names of ours besides those of loopback, in lower case.
        look_from: networks from which one may look without a token.
    """

    def __init__(self, token: str | None, hosts: frozenset[str], look_from: Sequence[IPNetwork]) -> None:
        self._token = None if token is None else _digest(token)
        self._hosts = hosts | _LOOPBACK_NAMES
        self._look_from = look_from
        self._sessions: OrderedDict[bytes, float] = OrderedDict()
        """Digest of a cookie → until when it is good, in monotonic time."""
        self._signing_in: Counter[str] = Counter()
        """Of each address, how many try now."""

    @property
    def has_token(self) -> bool:
        """Whether anybody can sign in."""
        return self._token is not None

    def is_host_ours(self, request: web.Request) -> bool:
        """Whether the request is for a name of ours."""
        return _host_of(request) in self._hosts

    def right_of(self, request: web.Request) -> Right:
        """What the request may do."""
        if self._is_session(request.cookies.get(_cookie_name(request), "")):
            return "change"
        # No browser speaks HTTP/1.0; nginx does where nobody tells it otherwise, and says nothing else of itself.
        is_direct = request.version >= HttpVersion11 and not any(name in request.headers for name in _FORWARDED)
        is_local = _host_of(request) in _LOOPBACK_NAMES and self._may_look_from(_peer(request))
        return "look" if is_direct and is_local else "none"

    def _may_look_from(self, peer: str) -> bool:
        address = _address(peer)
        return address is not None and any(address in network for network in self._look_from)

    async def sign_in(self, request: web.Request, token: str) -> str | None:
        """The value of a new cookie, in place of the one that the request has; None for a wrong token, some time later.

        Raises:
            TooManySignInsError: too many try at a time.
        """
        peer = _peer(request)
        if self._signing_in.total() >= MOST_SIGNING_IN or self._signing_in[peer] >= MOST_SIGNING_IN_OF_ADDRESS:
            raise TooManySignInsError
        self._signing_in[peer] += 1
        try:
            if self._token is None or not hmac.compare_digest(_digest(token), self._token):
                await asyncio.sleep(WRONG_TOKEN_S)
                return None
        finally:
            self._signing_in[peer] -= 1
            self._signing_in += Counter()  # Who has ended is forgotten.
        self.sign_out(request)
        value = secrets.token_urlsafe(32)
        self._sessions[_digest(value)] = time.monotonic() + SESSION_S
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return value

    def sign_out(self, request: web.Request) -> None:
        """Forget the session of a request."""
        self._sessions.pop(_digest(request.cookies.get(_cookie_name(request), "")), None)

    def set_cookie(self, request: web.Request, response: web.Response, value: str) -> None:
        """Give a session to a browser; an empty value takes it away."""
        response.set_cookie(
            _cookie_name(request),
            value,
            max_age=SESSION_S if value else 0,
            path="/",
            httponly=True,
            samesite="Strict",
            secure=request.headers.get("X-Forwarded-Proto") == "https",
        )

    def _is_session(self, value: str) -> bool:
        until = self._sessions.get(_digest(value)) if value else None
        return until is not None and time.monotonic() < until


def is_asked_by_us(request: web.Request) -> bool:
    """Whether no page elsewhere asks, as far as browsers tell: it could read no answer, but make us work for it."""
    return request.headers.get("Sec-Fetch-Site", "none") in {"same-origin", "none"}


def is_from_our_page(request: web.Request) -> bool:
    """Whether a request that changes something was sent by our own page, as far as browsers tell."""
    origin = request.headers.get("Origin")
    host = request.headers.get("Host", "").lower()
    if origin is not None and origin.lower() not in {f"http://{host}", f"https://{host}"}:
        return False
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        return False
    return request.headers.get(OWN_HEADER) == "1" and request.content_type == "application/json"


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone; a name is not known to be."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    return unmapped(address)


def _cookie_name(request: web.Request) -> str:
    """Browsers send cookies to all ports of a host: two consoles on one machine must not sign each other out."""
    port = urlsplit(f"//{request.headers.get('Host', '')}").port  # A host of ours: its port was read before.
    return f"{COOKIE}_{port}" if port else COOKIE


def _host_of(request: web.Request) -> str:
    """The name in the head, without its port; empty where it is none."""
    try:
        parts = urlsplit(f"//{request.headers.get('Host', '')}")
        is_plain = parts.port != 0 and parts.username is None and not parts.path
        return (parts.hostname or "").lower() if is_plain else ""
    except ValueError:  # of brackets and ports
        return ""


def _peer(request: web.Request) -> str:
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return str(peer[0]) if peer else ""


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
