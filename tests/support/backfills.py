"""`consumers backfill` as an operator runs it, and both sides of a message: its callback, its line in the archive."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from bridge.devstack.service import environment
from consumers.archive.hour import Hour
from tests.support.callbacks import PostedCallback
from tests.support.commands import BRIDGE
from tests.support.events import event_of
from tests.support.im_platform import ImPlatform
from tests.support.topic import Topics

C2C, GROUP = "C2C.CallbackAfterSendMsg", "Group.CallbackAfterSendMsg"
CONSUMERS = BRIDGE.with_name("consumers")


def past_hour(hours_ago: int = 2) -> Hour:
    """An hour that is over."""
    return Hour.of(datetime.now(UTC) - timedelta(hours=hours_ago))


def callback_of(line: Mapping[str, Any], **changes: Any) -> PostedCallback:
    """The callback of the message of a line, as documented; `changes` replace fields, None takes one away."""
    body = {("MsgTime" if name == "MsgTimestamp" else name): value for name, value in line.items()}
    if is_group := "GroupId" in line:
        body = {"Random": line["MsgSeq"] * 31 % 2**32, "Type": "Public", **body}
    else:
        key = f"{line['MsgSeq']}_{line['MsgRandom']}_{line['MsgTimestamp']}"
        body |= {"MsgKey": key, "SendMsgResult": 0, "ErrorInfo": "send msg succeed"}
    body |= {"EventTime": line["MsgTimestamp"] * 1000 + 321, **changes}
    command = GROUP if is_group else C2C
    whole = {name: value for name, value in body.items() if value is not None}
    return PostedCallback(command, orjson.dumps({"CallbackCommand": command, **whole}))


def id_of(callback: PostedCallback) -> str:
    """The id of the event that the ingress makes of it."""
    return event_of(callback.command, callback.body).id


class Backfills:
    """Runs it on some topics with a work folder of its own."""

    def __init__(self, folder: Path, bootstrap: str, topics: Topics, platform: ImPlatform, **settings: str) -> None:
        self.folder = folder
        self.env = {
            "CONSUMERS_KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "CONSUMERS_TOPIC": topics.events,
            "CONSUMERS_DLQ_TOPIC": topics.dlq,
            "CONSUMERS_BADGES_TOPIC": topics.badges,
            "CONSUMERS_IM_APPS": platform.credentials(),
            "CONSUMERS_ARCHIVE_DIR": str(folder),
            "CONSUMERS_ARCHIVE_EMPTY_AFTER_HOURS": "1",
            **settings,
        }

    def run(self, hour: Hour, *options: str, until: Hour | None = None, code: int = 0) -> str:
        """What it tells of an hour, or of all up to another; both are taken whole."""
        done = self._done(hour, options, until, code)
        return done.stdout + done.stderr

    def counts(self, hour: Hour, *options: str, until: Hour | None = None, code: int = 0) -> list[dict[str, Any]]:
        """What it finds of each hour, app and chat; numbers that are 0 left out."""
        *hours, total = self._done(hour, ["--json", *options], until, code).stdout.splitlines()
        assert "sum" in json.loads(total)
        return [{name: value for name, value in json.loads(one).items() if value} for one in hours]

    def _done(
        self, hour: Hour, options: Sequence[str], until: Hour | None, code: int
    ) -> subprocess.CompletedProcess[str]:
        end = (until or hour).next()
        done = subprocess.run(
            [CONSUMERS, "backfill", "--from", hour.name, "--to", end.name, *options],
            env=environment(self.env),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done
