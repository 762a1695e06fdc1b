"""From where files are downloaded: the platform names their addresses, and somebody else might in its place.

An address must be of http or https, without a user's name, and lead to a public address: no file is asked of the
machine itself, its network, or the cloud's service that gives out credentials. A name is looked up once, for the
connection, and that answer is judged, so that it cannot be another one the next time. Exempt are the host of the app's
own REST API, which may be a proxy of ours, and those that CONSUMERS_ARCHIVE_PRIVATE_HOSTS names.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Collection

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from common.http_url import check_http_url
from common.networks import unmapped

_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
"""As the last part of a host it makes an IPv4 address of it, which a system completes in its own way: `127.1`."""


class HostRefusedError(OSError):
    """Nothing is downloaded from there. The message says why and which setting allows it."""


class FileHosts:
    """Which hosts files are taken from.

    Args:
        trusted: names that may have any address; `*.example.com` is all in that domain.
    """

    def __init__(self, trusted: Collection[str]) -> None:
        self._names = {name for name in trusted if not name.startswith("*.")}
        self._domains = tuple(name[1:] for name in trusted if name.startswith("*."))

    def check_url(self, text: str) -> URL:
        """The address of a file, if it may be asked for.

        Raises:
            HostRefusedError: it may not.
        """
        try:
            url = URL(check_http_url(text), encoded=True)
        except ValueError as error:
            raise HostRefusedError(f"the platform names a file's address that is none: {error}") from None
        if url.user is not None or url.password is not None:
            raise HostRefusedError("the platform names a file's address with a user's name in it")
        host = url.host or ""
        try:
            literal = str(ipaddress.ip_address(host))
        except ValueError:
            if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
                raise HostRefusedError(f"the platform names a file at {host}, which is no address in full") from None
            return url
        self.check_address(literal, literal)
        return url

    def check_address(self, host: str, address: str) -> None:
        """See that a host may have that IP address.

        Raises:
            HostRefusedError: it may not.
        """
        name = host.lower().rstrip(".")
        if name in self._names or name.endswith(self._domains):
            return
        found = unmapped(ipaddress.ip_address(address.partition("%")[0]))
        if not found.is_global or found.is_multicast:
            raise HostRefusedError(
                f"the platform names a file at {host}, whose address {address} is not a public one: if that is right, "
                f"add {host} to CONSUMERS_ARCHIVE_PRIVATE_HOSTS"
            )


class _JudgedResolver(AbstractResolver):
    def __init__(self, hosts: FileHosts) -> None:
        self._hosts = hosts
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for result in found:
            self._hosts.check_address(host, result["host"])
        return found

    async def close(self) -> None:
        await self._inner.close()


def download_session(hosts: FileHosts) -> aiohttp.ClientSession:
    """A session for downloads that reaches those hosts only: without cookies, proxies of the environment, unpacking."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=_JudgedResolver(hosts)),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        read_bufsize=256 * 1024,
    )
