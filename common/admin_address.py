"""Addresses of admin ports, as whoever asks there writes and finds them."""

from __future__ import annotations

from yarl import URL

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - who listens everywhere is asked here


def listens_everywhere(host: str) -> bool:
    """Whether it stands for every address of a machine."""
    return host in _WILDCARDS


def asked_host(host: str) -> str:
    """The host at which whoever listens on `host` is asked on its own machine."""
    return _WILDCARDS.get(host, host)


def admin_page(url: str, path: str) -> URL:
    """A page at an admin address.

    Args:
        url: the address, such as http://10.0.0.7:9090; that of the page is one, too.
        path: of the page.

    Raises:
        ValueError: it is no address. The message says how one is written.
    """
    try:
        address = URL(url)
        is_whole = address.scheme in {"http", "https"} and address.host and address.port
    except ValueError:  # of brackets and ports
        is_whole = False
    if not is_whole:
        raise ValueError(f"{url} is no address to ask: write it as http://127.0.0.1:9090")
    return address if address.path.endswith(path) else address / path.strip("/")
