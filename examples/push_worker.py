"""A push service that tells phones their badge: `consumers run examples.push_worker:Push`."""

import os
from collections.abc import Sequence

import aiohttp
import orjson
from aiokafka import ConsumerRecord

from consumers.errors import RetryLater
from consumers.settings import ConsumersSettings
from consumers.worker import Context, RecordWorker


class Push(RecordWorker):
    """Reads `im.badges`, so it needs neither Redis nor a rule about badges: the last record of a key is the badge."""

    name = "push"

    def topic(self, settings: ConsumersSettings) -> str:
        return settings.badges_topic

    async def start(self, context: Context) -> None:
        self.session = aiohttp.ClientSession(os.environ.get("PUSH_URL", "http://localhost:8090"))

    async def handle(self, batch: Sequence[ConsumerRecord]) -> None:
        for badge in {record.key: orjson.loads(record.value) for record in batch if record.value}.values():
            if badge["unread"] is not None:
                await self.push(badge["account"], badge["unread"])

    async def push(self, account: str, unread: int) -> None:
        """Tell the gateway the badge of an account."""
        async with self.session.post("/push", json={"to": account, "aps": {"badge": unread}}) as reply:
            if reply.status == 429 or reply.status >= 500:
                raise RetryLater("the push gateway is in trouble")
            reply.raise_for_status()

    async def stop(self) -> None:
        await self.session.close()
