"""What both naive servers do with a callback: verify, normalize by hand, find the key.

What they lack, beside the bridge, as do the servers in Go and Rust (`bench/peers`): a journal (while Kafka is away,
nothing is answered in time, and what waits is lost with the process), a reply deadline, the order of a user's events
after a retry, dead letters, lax reading of damaged bodies (numbers as text, times in seconds, fields that nobody
documents), all commands but three of one-to-one messages, several apps and tokens, limits of memory and of requests in
flight, healing of a broken producer, numbers by which a loss is
found, metrics. Their events of sound bodies are the bridge's: see `bench.check`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import orjson
from aiokafka import AIOKafkaProducer

OK = b'{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}'
REFUSED = b'{"ActionStatus":"FAIL","ErrorInfo":"refused","ErrorCode":1}'
HEADERS = [("content-type", b"application/cloudevents+json")]

APP_ID = "1400000000"
TOKEN = b"token-a"
SKEW_S = 60


class Kind(NamedTuple):
    """What becomes of a command."""

    type: str
    subject: str
    identity: tuple[str, ...]
    fields: dict[str, str]
    """The platform's names, and those in the data of the event."""


KINDS = {
    "C2C.CallbackAfterMsgWithDraw": Kind(
        "im.c2c.message.recalled",
        "To_Account",
        ("From_Account", "To_Account", "MsgKey"),
        {
            "From_Account": "from_account",
            "To_Account": "to_account",
            "MsgKey": "msg_key",
            "UnreadMsgNum": "unread_total",
        },
    ),
    "C2C.CallbackAfterSendMsg": Kind(
        "im.c2c.message.sent",
        "To_Account",
        ("From_Account", "To_Account", "MsgKey", "SendMsgResult"),
        {
            "From_Account": "from_account",
            "To_Account": "to_account",
            "MsgSeq": "msg_seq",
            "MsgRandom": "msg_random",
            "MsgTime": "msg_time",
            "MsgKey": "msg_key",
            "SendMsgResult": "send_msg_result",
            "ErrorInfo": "error_info",
            "UnreadMsgNum": "unread_total",
            "MsgBody": "msg_body",
        },
    ),
    "C2C.CallbackAfterMsgReport": Kind(
        "im.c2c.conversation.read",
        "Report_Account",
        ("Report_Account", "Peer_Account", "LastReadTime", "EventTime"),
        {
            "Report_Account": "report_account",
            "Peer_Account": "peer_account",
            "LastReadTime": "last_read_time",
            "UnreadMsgNum": "unread_total",
        },
    ),
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
    return signed and query.get("SdkAppid") == APP_ID and abs(time.time() - int(request_time)) <= SKEW_S


def event(query: Mapping[str, str], body: bytes) -> Made:
    """The event of a callback. Raises ValueError for a body that is no JSON, KeyError for one without an identity."""
    fields: dict[str, Any] = orjson.loads(body)
    command = query["CallbackCommand"]
    kind = KINDS[command]
    now = _rfc3339(time.time())
    identity = (APP_ID, command, *(fields[name] for name in kind.identity))
    subject = fields[kind.subject]
    made = {
        "specversion": "1.0",
        "id": hashlib.blake2b(msgspec.msgpack.encode(identity), digest_size=16).hexdigest(),
        "source": f"/tencent-im/{APP_ID}",
        "type": kind.type,
        "subject": subject,
        "time": _rfc3339(fields["EventTime"] / 1000) if "EventTime" in fields else now,
        "datacontenttype": "application/json",
        "dataschema": f"urn:im-bridge:schemas/{kind.type}.json",
        "callbackcommand": command,
        "receivedtime": now,
        "platform": query["OptPlatform"].lower(),
        "clientip": query["ClientIP"],
        "data": {ours: fields[theirs] for theirs, ours in kind.fields.items() if theirs in fields},
    }
    return Made(subject.encode(), orjson.dumps(made))


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


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
