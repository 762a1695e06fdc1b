"""aiohttp and `send_and_wait`. `python -m bench.servers.naive_aiohttp PORT`."""

from __future__ import annotations

import sys

import uvloop
from aiohttp import web

from bench.servers import by_hand

PRODUCER = web.AppKey("PRODUCER", object)


async def handle(request: web.Request) -> web.Response:
    """Publish the callback, then answer."""
    if not by_hand.is_authentic(request.query):
        return web.Response(status=403, body=by_hand.REFUSED, content_type="application/json")
    made = by_hand.event(request.query, await request.read())
    await request.app[PRODUCER].send_and_wait(  # type: ignore[attr-defined]
        by_hand.topic(), made.value, key=made.key, headers=by_hand.HEADERS
    )
    return web.Response(body=by_hand.OK, content_type="application/json")


async def start(app: web.Application) -> None:
    """Connect to Kafka."""
    producer = by_hand.producer()
    await producer.start()
    app[PRODUCER] = producer


async def make() -> web.Application:
    """The application."""
    app = web.Application()
    app.router.add_post("/{path:.*}", handle)
    app.on_startup.append(start)
    return app


if __name__ == "__main__":
    web.run_app(
        make(), host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=uvloop.new_event_loop()
    )
