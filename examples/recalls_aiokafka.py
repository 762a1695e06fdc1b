"""Prints the recalls of one account's messages, with aiokafka and the typed events of this project.

BOOTSTRAP_SERVERS=localhost:9092 python examples/recalls_aiokafka.py Jonh [COUNT [SECONDS]]
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys

from aiokafka import AIOKafkaConsumer

from bridge.events import MessageRecalled, parse_event


async def main(account: str, count: int | None = None, seconds: float | None = None) -> None:
    """Print `count` recalls, or as many as come within `seconds`; without both, for ever."""
    consumer = AIOKafkaConsumer(
        os.environ.get("TOPIC", "im.events"),
        bootstrap_servers=os.environ.get("BOOTSTRAP_SERVERS", "localhost:9092"),
        group_id=f"recalls-aiokafka-{account}",
        auto_offset_reset="earliest",
    )
    # Delivery is at least once: whoever does more than print remembers `event.id`.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), consumer:
            async for record in consumer:
                if record.key != account.encode():  # The key is the subject: others need not even be parsed.
                    continue
                event = parse_event(record.value)
                if isinstance(event.data, MessageRecalled):
                    recall, time = event.data, event.time.strftime("%FT%T.") + f"{event.time.microsecond // 1000:03}Z"
                    unread = "?" if recall.unread_total is None else recall.unread_total
                    print(f"{time} {recall.from_account} recalled {recall.msg_key}, {unread} unread", flush=True)
                    count = count and count - 1
                    if count == 0:
                        return


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    asyncio.run(main(sys.argv[1], *(int(argument) for argument in sys.argv[2:])))
