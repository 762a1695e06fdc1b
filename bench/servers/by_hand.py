"""What both naive servers do with a callback: verify, normalize by hand, find the key.

What they lack, beside the bridge: a journal (while Kafka is away, nothing is answered in time, and what waits is lost
with the process), a reply deadline, the order of a user's events after a retry, dead letters, lax reading of damaged
bodies, all commands but those of one-to-one messages, documented types, limits of memory and of requests in flight,
healing of a broken producer, several tokens, metrics.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson
from aiokafka import AIOKafkaProducer

OK = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
REFUSED = b'{"ActionStatus":"FAIL","ErrorInfo":"refused","ErrorCode":1}'

APP_ID = "1400000000"
TOKEN = b"token-a"
SKEW_S = 86_400
TYPES = {
    "C2C.CallbackAfterMsgWithDraw": ("im.c2c.message.recalled", "To_Account"),
    "C2C.CallbackAfterSendMsg": ("im.c2c.message.sent", "To_Account"),
    "C2C.CallbackAfterMsgReport": ("im.c2c.conversation.read", "Report_Account"),
}


class Made(NamedTuple):
    """An event, ready to be sent."""

    key: bytes
    value: bytes


def is_authentic(query: Mapping[str, str]) -> bool:
    """Whether the platform has sent it, and lately."""
    request_time = query.get("RequestTime", "")
    expected = hashlib.sha256(TOKEN + request_time.encode()).hexdigest()
    signed = hmac.compare_digest(expected, query.get("Sign", ""))
    return signed and query.get("SdkAppid") == APP_ID and abs(time.time() - int(request_time)) < SKEW_S


def event(query: Mapping[str, str], body: bytes) -> Made:
    """The event of a callback. Raises ValueError for a body that is no JSON, KeyError for one without a subject."""
    fields: dict[str, Any] = orjson.loads(body)
    command = query["CallbackCommand"]
    kind, subject_field = TYPES[command]
    subject = fields[subject_field]
    now = datetime.now(UTC)
    at = datetime.fromtimestamp(fields["EventTime"] / 1000, UTC) if "EventTime" in fields else now
    identity = f"{APP_ID}:{command}:{fields.get('MsgKey') or body!r}"
    made = {
        "specversion": "1.0",
        "id": hashlib.sha256(identity.encode()).hexdigest(),
        "source": f"/tencent-im/{APP_ID}",
        "type": kind,
        "subject": subject,
        "time": at,
        "datacontenttype": "application/json",
        "callbackcommand": command,
        "receivedtime": now,
        "platform": query.get("OptPlatform"),
        "clientip": query.get("ClientIP"),
        "data": {
            "from_account": fields.get("From_Account"),
            "to_account": fields.get("To_Account"),
            "msg_key": fields.get("MsgKey"),
            "unread_total": fields.get("UnreadMsgNum"),
        },
    }
    return Made(subject.encode(), orjson.dumps(made))


def topic() -> str:
    """Where events go."""
    return os.environ["BENCH_TOPIC"]


def producer() -> AIOKafkaProducer:
    """As safe as the bridge's: idempotent, acks=all."""
    return AIOKafkaProducer(
        bootstrap_servers=os.environ["BENCH_BOOTSTRAP"],
        acks="all",
        enable_idempotence=True,
        max_batch_size=256 * 1024,
    )
