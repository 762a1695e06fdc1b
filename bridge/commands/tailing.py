"""What `bridge tail` does: shows what is on a topic, in lines for people or for programs."""

from __future__ import annotations

import contextlib
import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer
from aiokafka import ConsumerRecord

from bridge.contract.record_line import MAX_DEPTH, content_of, describe_record, json_line, key_of
from bridge.devstack.foreground import run_in_foreground
from bridge.settings import DeveloperSettings
from common import logs
from common.kafka import diagnosis
from common.kafka.follower import Follower
from common.settings import load_settings
from common.terminal import Output


def run(topic: str | None, *, from_beginning: bool, type_: str, account: str | None, as_json: bool) -> None:
    """Show a topic until Ctrl-C; for the arguments see `bridge.commands.tail`.

    Raises:
        typer.Exit: with status 2, if a certificate cannot be used.
    """
    output = Output()
    logs.configure(log_format="text", level="error")
    diagnosis.watch()
    settings = load_settings(DeveloperSettings)
    try:
        follower = Follower(
            settings.kafka_client, [topic or settings.topic], from_beginning=from_beginning, report=output.remark
        )
    except OSError as error:
        output.error(str(error))
        raise typer.Exit(2) from None
    shown = RecordFilter(type=type_, account=account)
    run_in_foreground(lambda: _show(follower, shown, output, as_json=as_json))


@dataclass(frozen=True)
class RecordFilter:
    """Which records are shown."""

    type: str = "*"
    """Of events: their type, with wildcards. Dead letters and badges have none, and are left out unless it is `*`."""
    account: str | None = None
    """Account or group that it is about, or that takes part."""

    def admits(self, record: ConsumerRecord) -> bool:
        """Whether the record is shown."""
        content = content_of(record)
        if self.type != "*" and not fnmatch.fnmatchcase(str(content.get("type", "")), self.type):
            return False
        return self.account is None or self.account in _names(record, content)


async def _show(follower: Follower, shown: RecordFilter, output: Output, *, as_json: bool) -> None:
    """Print what comes. Ends never."""
    async with contextlib.aclosing(follower.records()) as records:
        async for record in records:
            if not shown.admits(record):
                continue
            if as_json:
                output.json(json_line(record))
            else:
                output.line(describe_record(record))


def _names(record: ConsumerRecord, content: dict[str, Any]) -> set[str]:
    names = {key_of(record), str(content.get("subject")), str(content.get("account"))}
    return names | set(_accounts(content.get("data", content)))


def _accounts(value: Any, depth: int = MAX_DEPTH) -> Iterator[str]:
    """Every account and group that the data names."""
    if not depth:
        return
    if isinstance(value, list):
        for item in value:
            yield from _accounts(item, depth - 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str):
                if name.lower().endswith(("account", "groupid", "group_id")):
                    yield item
            else:
                yield from _accounts(item, depth - 1)
