"""FastAPI on uvicorn (uvloop, httptools) and `send_and_wait`. `python -m bench.servers.naive_fastapi PORT`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from aiokafka import AIOKafkaProducer
from fastapi import FastAPI, Request, Response

from bench.servers import by_hand

producers: list[AIOKafkaProducer] = []


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Connect to Kafka."""
    producer = by_hand.producer()
    await producer.start()
    producers.append(producer)
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/{path:path}")
async def handle(request: Request) -> Response:
    """Publish the callback, then answer."""
    if not by_hand.is_authentic(request.query_params):
        return Response(by_hand.REFUSED, status_code=403, media_type="application/json")
    made = by_hand.event(request.query_params, await request.body())
    await producers[0].send_and_wait(by_hand.topic(), made.value, key=made.key, headers=by_hand.HEADERS)
    return Response(by_hand.OK, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
