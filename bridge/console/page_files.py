"""The files of the page, read once, and the heads with which they are served."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # Pico's icons
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""Of every answer, whatever it is."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}
INDEX = "index.html"


class PageFiles:
    """Everything in the folder `page`, in memory: nothing else can be asked for, whatever the path."""

    def __init__(self) -> None:
        self._files = dict(_every_file(files("bridge.console") / "page"))
        self._etags = {name: f'"{hashlib.sha256(content).hexdigest()[:32]}"' for name, content in self._files.items()}

    def answer(self, name: str, request: web.Request) -> web.Response:
        """A file, or that the browser has it already.

        Raises:
            web.HTTPNotFound: there is no such file.
        """
        content = self._files.get(name)
        if content is None:
            raise web.HTTPNotFound(text="there is no such file")
        suffix = name[name.rindex(".") :]
        headers = {"ETag": self._etags[name], "Cache-Control": "no-cache", "Content-Type": _TYPES[suffix]}
        if request.headers.get("If-None-Match") == self._etags[name]:
            return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        return web.Response(body=content, headers=headers)


def _every_file(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _every_file(entry, f"{prefix}{entry.name}/")
        elif any(entry.name.endswith(suffix) for suffix in _TYPES):
            yield f"{prefix}{entry.name}", entry.read_bytes()
