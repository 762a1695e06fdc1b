"""Prints the recalls of one account's messages, with confluent-kafka and nothing of this project.

BOOTSTRAP_SERVERS=localhost:9092 python examples/recalls_confluent.py Jonh [COUNT [SECONDS]]
"""

from __future__ import annotations

import json
import math
import os
import sys
import time

from confluent_kafka import Consumer, KafkaException


def main(account: str, count: float = math.inf, seconds: float = math.inf) -> None:
    """Print `count` recalls, or as many as come within `seconds`; without both, for ever."""
    consumer = Consumer(
        {
            "bootstrap.servers": os.environ.get("BOOTSTRAP_SERVERS", "localhost:9092"),
            "group.id": f"recalls-confluent-{account}",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([os.environ.get("TOPIC", "im.events")])
    ends = time.monotonic() + seconds
    try:
        while count > 0 and time.monotonic() < ends:
            message = consumer.poll(0.5)
            if message is None:
                continue
            if error := message.error():
                raise KafkaException(error)
            if message.key() != account.encode():  # The key is the subject: others need not even be parsed.
                continue
            event = json.loads(message.value())
            if event["type"] == "im.c2c.message.recalled":
                # Delivery is at least once: whoever does more than print remembers `event["id"]`.
                recall = event["data"]
                unread = recall.get("unread_total", "?")
                print(
                    f"{event['time']} {recall.get('from_account')} recalled {recall.get('msg_key')}, {unread} unread",
                    flush=True,
                )
                count -= 1
    finally:
        consumer.close()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1], *(int(argument) for argument in sys.argv[2:]))
